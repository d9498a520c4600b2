/**
 * For runs with two releases: no log has an entry of a new kind before the cluster has agreed on its version, and the
 * cluster agrees only on a version that every running member supports.
 */
import { type Entry, EntryKind, type MemberId } from "../../../src/raft-agent/raft/entry.ts";
import { CommandKind } from "../../../src/raft-agent/state-machine/command.ts";
import { newKind } from "../releases.ts";
import { Violation } from "../violation.ts";

const property = "entries that every member can read";

export class ReadableEntries {
  readonly #now: () => number;
  /** Set in runs with two releases. */
  isMixed = false;
  /** When the entry that raises the version was first in a log. */
  #raisedAtMs: number | null = null;
  #isAgreed = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  get isRaised(): boolean {
    return this.#raisedAtMs !== null;
  }

  appended(member: MemberId, entry: Entry): void {
    const kind = kindOf(entry);
    if (kind === CommandKind.protocolVersion) this.#raisedAtMs ??= this.#now();
    if (!this.isMixed || kind !== newKind || this.#isAgreed) return;
    throw new Violation(
      property,
      `${member} has entry ${entry.index} of a new kind, and no version is agreed on for it`,
    );
  }

  committed(entries: readonly Entry[]): void {
    if (!this.#isAgreed && entries.some((entry) => kindOf(entry) === CommandKind.protocolVersion))
      this.#isAgreed = true;
  }

  /**
   * A member of the older release has received what it cannot read. That is correct only if it started after the version was
   * proposed: the leader cannot know of it.
   */
  unreadable(member: MemberId, runsSinceMs: number): void {
    if (this.#raisedAtMs !== null && runsSinceMs >= this.#raisedAtMs) return;
    throw new Violation(property, `${member} runs the older release, and has to read an entry of the newer one`);
  }
}

function kindOf({ kind, data }: Entry): number | null {
  return kind === EntryKind.normal && data.length > 0 ? data[0]! : null;
}
