/** No even configuration is ever in force under haplan's changes; each half of a joint one counts separately. */
import type { Configuration } from "../../../src/raft-agent/raft/configuration.ts";
import { decodeConfigurationEntry } from "../../../src/raft-agent/raft/configuration-codec.ts";
import { type Entry, EntryKind, type MemberId } from "../../../src/raft-agent/raft/entry.ts";
import { Violation } from "../violation.ts";

export class OddConfigurations {
  appended(member: MemberId, entry: Entry): void {
    if (entry.kind !== EntryKind.configuration) return;
    this.#check(member, decodeConfigurationEntry(entry.data).configuration);
  }

  started(member: MemberId, configuration: Configuration): void {
    // A member that has just joined knows no voters yet.
    if (configuration.voters.length > 0) this.#check(member, configuration);
  }

  #check(member: MemberId, { voters, votersOutgoing }: Configuration): void {
    const isOdd = voters.length % 2 === 1 && (votersOutgoing.length === 0 || votersOutgoing.length % 2 === 1);
    if (isOdd) return;
    const halves = votersOutgoing.length === 0 ? `${voters.length}` : `${votersOutgoing.length} and ${voters.length}`;
    throw new Violation(
      "odd configurations",
      `in the log of ${member} a configuration of ${halves} voters is in force`,
    );
  }
}
