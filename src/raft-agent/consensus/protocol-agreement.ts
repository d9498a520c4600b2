/**
 * Raises the protocol version agreed on by the cluster, on the leader and through the log, as soon as every member
 * supports a higher one that a kind of command requires. A member that is not connected may come back with an older
 * release, so nothing is raised without it. The version never decreases.
 */
import { membersOf } from "../raft/configuration.ts";
import { CommandKind } from "../state-machine/command.ts";
import { encodeProtocolVersion } from "../state-machine/command-body.ts";
import { type EntryVersions, versionToAgreeOn } from "../state-machine/entry-versions.ts";
import type { MembershipStore } from "../state-machine/membership-store.ts";
import type { ConsensusPort, ConsensusStatus } from "./consensus-port.ts";
import type { Proposer } from "./proposer.ts";

export type ProtocolAgreementParts = {
  readonly consensus: Pick<ConsensusPort, "memberId" | "status" | "supportedVersion">;
  readonly membership: Pick<MembershipStore, "protocolVersion">;
  readonly proposer: Pick<Proposer, "propose">;
  readonly versions: EntryVersions;
};

export class ProtocolAgreement {
  readonly #parts: ProtocolAgreementParts;
  #isProposed = false;

  constructor(parts: ProtocolAgreementParts) {
    this.#parts = parts;
  }

  /** Called a few times a second. */
  tick(): void {
    const { consensus, membership, proposer, versions } = this.#parts;
    const agreed = membership.protocolVersion;
    if (this.#isProposed || versionToAgreeOn(versions.supported, versions) <= agreed) return;
    const status = consensus.status();
    const lowest = status.role === "leader" ? this.#lowestSupported(status) : null;
    const version = lowest === null ? 0 : versionToAgreeOn(lowest, versions);
    if (version <= agreed) return;
    this.#isProposed = true;
    const done = (): void => {
      this.#isProposed = false;
    };
    // A later leader knows later versions: this proposal must not reach it.
    const requester = { caller: null, call: null, isParked: false };
    proposer.propose(CommandKind.protocolVersion, encodeProtocolVersion({ version }), done, requester);
  }

  /**
   * The lowest maximum of all that receive the log: those of the configuration in the log, applied or not, and those whose
   * removal is not committed. Null while one of them is not connected.
   */
  #lowestSupported({ configuration, progress }: ConsensusStatus): number | null {
    const { consensus, versions } = this.#parts;
    let lowest = versions.supported;
    for (const id of [...membersOf(configuration), ...progress.map(({ member }) => member)]) {
      if (id === consensus.memberId) continue;
      const supported = consensus.supportedVersion(id);
      if (supported === null) return null;
      lowest = Math.min(lowest, supported);
    }
    return lowest;
  }
}
