/**
 * Raises the protocol version agreed on by the cluster, on the leader and through the log, as soon as every member
 * supports a higher one that a kind of command requires. A member that is not connected may come back with an older
 * release, so nothing is raised without it. The version never decreases.
 */
import type { MemberId } from "../raft/entry.ts";
import { CommandKind } from "../state-machine/command.ts";
import { encodeProtocolVersion } from "../state-machine/command-body.ts";
import { type EntryVersions, versionToAgreeOn } from "../state-machine/entry-versions.ts";
import type { MembershipStore } from "../state-machine/membership-store.ts";
import type { ConsensusPort } from "./consensus-port.ts";
import type { Proposer } from "./proposer.ts";

export type ProtocolAgreementParts = {
  readonly consensus: Pick<ConsensusPort, "leader" | "memberId" | "supportedVersion">;
  readonly membership: Pick<MembershipStore, "configuration" | "protocolVersion">;
  readonly proposer: Pick<Proposer, "propose">;
  readonly versions: EntryVersions;
};

export class ProtocolAgreement {
  readonly #parts: ProtocolAgreementParts;
  #isProposed = false;

  constructor(parts: ProtocolAgreementParts) {
    this.#parts = parts;
  }

  /** Called a few times per second. */
  tick(): void {
    const { consensus, membership, proposer, versions } = this.#parts;
    if (this.#isProposed || consensus.leader() !== consensus.memberId) return;
    const lowest = this.#lowestSupported();
    const version = lowest === null ? 0 : versionToAgreeOn(lowest, versions);
    if (version <= membership.protocolVersion) return;
    this.#isProposed = true;
    proposer.propose(CommandKind.protocolVersion, encodeProtocolVersion({ version }), () => {
      this.#isProposed = false;
    });
  }

  /** Null while it is unknown for a member. */
  #lowestSupported(): number | null {
    const { consensus, membership, versions } = this.#parts;
    const { voters, votersOutgoing, learners } = membership.configuration;
    let lowest = versions.supported;
    const others = [...voters, ...votersOutgoing, ...learners].filter((id: MemberId) => id !== consensus.memberId);
    for (const id of others) {
      const supported = consensus.supportedVersion(id);
      if (supported === null) return null;
      lowest = Math.min(lowest, supported);
    }
    return lowest;
  }
}
