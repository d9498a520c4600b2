/**
 * A client that watches: several interests on one stream, on any member, for a while; then it continues after what it
 * has received, on another one. Sometimes it does not read.
 */
import { createRandom, type Random } from "../../src/base/random.ts";
import {
  decodeWatchResponse,
  encodeWatchRequest,
  WatchFilter,
  type WatchResponse,
} from "../../src/raft-agent/api/watch.ts";
import { type WatchInterest, WatchJournal } from "../compatibility/watch-journal.ts";
import { checkJournal } from "./checkers/watch-promises.ts";
import type { Cluster } from "./cluster.ts";
import { StreamCall } from "./stream-call.ts";

const everything = { key: "k", rangeEnd: "q" };
const interests: readonly WatchInterest[] = [
  { name: "all", ...everything, filters: [], prevKv: false },
  { name: "all with previous", ...everything, filters: [], prevKv: true },
  { name: "one key", key: "key-0", rangeEnd: "", filters: [], prevKv: true },
  { name: "no puts", ...everything, filters: [WatchFilter.noPut], prevKv: true },
  { name: "no deletes", ...everything, filters: [WatchFilter.noDelete], prevKv: false },
];
const askProgressMs = 150;
/** The watch id of responses for the whole stream. */
const forAll = -1;

export class Watcher {
  readonly journals: readonly WatchJournal[] = interests.map((interest) => new WatchJournal(interest, 1));
  readonly #cluster: Cluster;
  readonly #random: Random;
  #stream: StreamCall | null = null;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#random = createRandom(cluster.random.below(2 ** 32));
    this.#goOn();
  }

  /** Whether it has received everything up to `revision`. */
  knows(revision: number): boolean {
    return this.journals.every(({ next }) => next > revision);
  }

  #goOn(): void {
    const { time } = this.#cluster;
    const random = this.#random;
    time.after(random.next() * 60, () => {
      const processes = this.#cluster.processes();
      if (processes.length === 0) this.#goOn();
      else this.#open(processes[random.below(processes.length)]!);
    });
  }

  #open(process: ReturnType<Cluster["processes"]>[number]): void {
    const { time, mutations } = this.#cluster;
    const random = this.#random;
    const stream: StreamCall = new StreamCall(
      { time, random },
      {
        path: "/etcdserverpb.Watch/Watch",
        process,
        onMessage: (message) => {
          const response = decodeWatchResponse(message);
          for (const told of mutations.watched?.(response) ?? [response]) this.#take(stream, told);
        },
        onEnd: () => this.#leave(stream),
      },
    );
    this.#stream = stream;
    for (const [at, journal] of this.journals.entries()) {
      journal.streams++;
      stream.ask(journal.request(at + 1));
    }
    this.#askForProgress(stream);
    if (random.below(3) === 0) time.after(random.next() * 500, () => stream.stall(random.next() * 2_000));
    time.after(200 + random.next() * 3_000, () => this.#leave(stream));
  }

  #askForProgress(stream: StreamCall): void {
    this.#cluster.time.after(askProgressMs, () => {
      if (this.#stream !== stream) return;
      stream.ask(encodeWatchRequest({ kind: "progress" }));
      this.#askForProgress(stream);
    });
  }

  #take(stream: StreamCall, response: WatchResponse): void {
    if (this.#stream !== stream) return;
    this.#cluster.statistics.watchEvents += response.events.length;
    const told = response.watchId === forAll ? this.journals : [this.journals[response.watchId - 1]!];
    for (const journal of told) {
      try {
        journal.take(response);
      } catch {
        // It restarts after the compaction.
        this.#leave(stream);
      }
      checkJournal(journal);
    }
  }

  #leave(stream: StreamCall): void {
    if (this.#stream !== stream) return;
    this.#stream = null;
    stream.leave();
    this.#goOn();
  }
}
