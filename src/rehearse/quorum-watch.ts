/**
 * Observes the quorum of a copy from outside: a voter counts that listens for clients, runs, and is not cut off. Whether there is
 * a leader does not matter: without one, writes wait for an election, which the gaps of the writers show.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { majorityOf } from "../base/majority.ts";
import type { EtcdClient } from "../etcd-client/etcd-client.ts";
import { type ListeningSocket, listeningSockets, socketAt } from "../providers/local/listening-sockets.ts";
import { splitHostPort } from "../units/addresses.ts";
import type { Span } from "./rehearsal.ts";

export type QuorumWatchOptions = {
  /** Whether a member is paused or cut off now. */
  readonly isFaulted: (name: string) => boolean;
  readonly open: (clientUrl: string) => EtcdClient;
  readonly nowMs: () => number;
};

export type WatchedVoter = { readonly name: string; readonly clientUrls: readonly string[] };

const sampleMs = 40;
const votersMs = 200;

export class QuorumWatch {
  readonly #options: QuorumWatchOptions;
  readonly #running: Promise<void>;
  readonly #clients = new Map<string, EtcdClient>();
  readonly #losses: Span[] = [];
  #voters: readonly WatchedVoter[];
  #lostSinceMs: number | null = null;
  #stopped = false;

  constructor(voters: readonly WatchedVoter[], options: QuorumWatchOptions) {
    this.#voters = voters;
    this.#options = options;
    this.#running = Promise.all([this.#sample(), this.#followVoters()]).then(() => undefined);
  }

  /** Ends the watch. @returns when there was no quorum */
  async stop(): Promise<readonly Span[]> {
    this.#stopped = true;
    await this.#running;
    this.#record(true);
    await Promise.all([...this.#clients.values()].map((client) => client.grpc.close().catch(() => undefined)));
    return this.#losses;
  }

  /** The voters as of now. */
  get voters(): readonly WatchedVoter[] {
    return this.#voters;
  }

  async #sample(): Promise<void> {
    while (!this.#stopped) {
      const sockets = listeningSockets() ?? [];
      this.#record(hasQuorum(this.#voters, (voter) => this.#isUp(voter, sockets)));
      await sleep(sampleMs);
    }
  }

  #record(held: boolean): void {
    const nowMs = this.#options.nowMs();
    if (!held) this.#lostSinceMs ??= nowMs;
    else if (this.#lostSinceMs !== null) {
      this.#losses.push({ fromMs: this.#lostSinceMs, untilMs: nowMs });
      this.#lostSinceMs = null;
    }
  }

  #isUp({ name, clientUrls }: WatchedVoter, sockets: readonly ListeningSocket[]): boolean {
    return !this.#options.isFaulted(name) && clientUrls.some((url) => listens(url, sockets));
  }

  /** Asks a member that is up: any of them knows the voters, and none of them changes often. */
  async #followVoters(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn += 1) {
      const sockets = listeningSockets() ?? [];
      const up = this.#voters.filter((voter) => this.#isUp(voter, sockets));
      const url = up[turn % Math.max(1, up.length)]?.clientUrls.find((each) => listens(each, sockets));
      if (url !== undefined) await this.#askVoters(url).catch(() => this.#forget(url));
      await sleep(votersMs);
    }
  }

  async #askVoters(url: string): Promise<void> {
    const client = this.#clients.get(url) ?? this.#options.open(url);
    this.#clients.set(url, client);
    const { members } = await client.within(500).cluster.memberList({ linearizable: false });
    const voters = members.filter(({ learner }) => !learner).map(({ name, clientUrls }) => ({ name, clientUrls }));
    if (voters.length > 0) this.#voters = voters;
  }

  #forget(url: string): void {
    void this.#clients
      .get(url)
      ?.grpc.close()
      .catch(() => undefined);
    this.#clients.delete(url);
  }
}

function listens(url: string, sockets: readonly ListeningSocket[]): boolean {
  const { address, port } = splitHostPort(new URL(url).host);
  return socketAt(sockets, address, port) !== undefined;
}

export function hasQuorum(voters: readonly WatchedVoter[], isUp: (voter: WatchedVoter) => boolean): boolean {
  return voters.filter(isUp).length >= majorityOf(voters.length);
}
