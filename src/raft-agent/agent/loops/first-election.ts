/**
 * A cluster that starts does not wait for an election timeout: as soon as a majority has found each other, the one of
 * them with the lowest id stands. It does so once and with a pre-vote, so that a member that comes back to a living
 * leader disturbs nobody. (etcd shortens the first timeout instead: `--initial-election-tick-advance`.)
 */
import { majorityOf } from "../../../base/majority.ts";
import type { MemberId } from "../../raft/entry.ts";

export type ElectionView = {
  /** Without a pre-vote, standing raises the term and may unseat a living leader: then only a lone voter does. */
  readonly preVote: boolean;
  readonly self: MemberId;
  voters(): readonly MemberId[];
  isConnected(peer: MemberId): boolean;
  leader(): MemberId | null;
};

export class FirstElection {
  readonly #view: ElectionView;
  readonly #stand: () => void;
  #isOver = false;

  constructor(view: ElectionView, stand: () => void) {
    this.#view = view;
    this.#stand = stand;
  }

  /** To be called at the start, and whenever somebody has connected. */
  consider(): void {
    if (this.#isOver) return;
    this.#isOver = this.#view.leader() !== null;
    if (this.#isOver || !isFirstOfMajority(this.#view)) return;
    this.#isOver = true;
    this.#stand();
  }
}

function isFirstOfMajority({ self, preVote, voters, isConnected }: ElectionView): boolean {
  const all = voters();
  if (!preVote && all.length > 1) return false;
  const present = all.filter((voter) => voter === self || isConnected(voter));
  return present.length >= majorityOf(all.length) && present.every((voter) => self <= voter);
}
