/**
 * A new cluster does not wait for an election timeout: as soon as a majority is connected, its member with the lowest
 * id campaigns. It does so once and with a pre-vote, so that a member that returns to a live leader disturbs no other
 * member. (etcd shortens the first timeout instead: `--initial-election-tick-advance`.)
 */
import { majorityOf } from "../../../base/majority.ts";
import type { MemberId } from "../../raft/entry.ts";

export type ElectionView = {
  /** Without a pre-vote, campaigning raises the term and may depose a live leader: then only a lone voter does. */
  readonly preVote: boolean;
  readonly self: MemberId;
  voters(): readonly MemberId[];
  isConnected(peer: MemberId): boolean;
  leader(): MemberId | null;
};

export class FirstElection {
  readonly #view: ElectionView;
  readonly #campaign: () => void;
  #isOver = false;

  constructor(view: ElectionView, campaign: () => void) {
    this.#view = view;
    this.#campaign = campaign;
  }

  /** Called at the start, and whenever a peer has connected. */
  consider(): void {
    if (this.#isOver) return;
    this.#isOver = this.#view.leader() !== null;
    if (this.#isOver || !isFirstOfMajority(this.#view)) return;
    this.#isOver = true;
    this.#campaign();
  }
}

function isFirstOfMajority({ self, preVote, voters, isConnected }: ElectionView): boolean {
  const all = voters();
  if (!preVote && all.length > 1) return false;
  const present = all.filter((voter) => voter === self || isConnected(voter));
  return present.length >= majorityOf(all.length) && present.every((voter) => self <= voter);
}
