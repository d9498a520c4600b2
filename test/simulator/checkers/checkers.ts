/** All checkers that observe a running cluster. */

import type { Store } from "../../../src/raft-agent/mvcc/store.ts";
import type { SnapshotMetadata } from "../../../src/raft-agent/raft/configuration.ts";
import type { Entry, LogIndex, MemberId } from "../../../src/raft-agent/raft/entry.ts";
import type { Ready } from "../../../src/raft-agent/raft/ready.ts";
import type { Observer } from "../observer.ts";
import { ElectionSafety } from "./election-safety.ts";
import { LeaderCompleteness } from "./leader-completeness.ts";
import { LogBook } from "./log-book.ts";
import { OddConfigurations } from "./odd-configurations.ts";
import { ReadableEntries } from "./readable-entries.ts";
import { StateMachines } from "./state-machines.ts";
import { WrittenHistory } from "./written-history.ts";

export class Checkers implements Observer {
  readonly #configurations = new OddConfigurations();
  readonly readable: ReadableEntries;
  readonly #book = new LogBook((member, entry) => {
    this.#configurations.appended(member, entry);
    this.readable.appended(member, entry);
  });
  readonly #elections = new ElectionSafety();
  readonly #completeness = new LeaderCompleteness(this.#book);
  readonly #machines = new StateMachines();
  readonly written: WrittenHistory;

  constructor(now: () => number) {
    this.written = new WrittenHistory(now);
    this.readable = new ReadableEntries(now);
  }

  started(member: MemberId, snapshot: SnapshotMetadata, entries: readonly Entry[]): void {
    this.#configurations.started(member, snapshot.configuration);
    this.#book.start(member, snapshot, entries);
  }

  ready(member: MemberId, ready: Ready, term: number): void {
    if (ready.installSnapshot !== null) this.#configurations.started(member, ready.installSnapshot.configuration);
    this.#book.take(member, ready);
    if (ready.softState?.role === "leader") {
      this.#elections.elected(member, ready.softState.term);
      this.#completeness.elected(member, ready.softState.term);
    }
    this.readable.committed(ready.committed);
    this.#completeness.committed(member, term, ready.committed);
  }

  applied(member: MemberId, index: LogIndex, store: Store): void {
    this.#machines.applied(member, index, store.revision);
    this.written.take(store);
  }
}
