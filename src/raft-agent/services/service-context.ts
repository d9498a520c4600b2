/** The context of every service: the data, the ports to consensus, and the identity of this member. */

import type { Clock } from "../../base/clock.ts";
import { parseMemberId } from "../../base/member-id.ts";
import type { ResponseHeader } from "../api/response-header.ts";
import { WireWriter } from "../api/wire.ts";
import type { ConsensusPort } from "../consensus/consensus-port.ts";
import type { MemberChanges } from "../consensus/member-changes.ts";
import type { Proposer } from "../consensus/proposer.ts";
import type { ReadQueue } from "../consensus/read-queue.ts";
import type { ChangeId } from "../state-machine/change-id.ts";
import type { Lessor } from "../state-machine/lessor.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import type { Access } from "./access.ts";
import type { SpaceQuota } from "./space-quota.ts";

export type ServiceLimits = {
  /** etcd's `--max-txn-ops`. */
  readonly txnOpsMax: number;
  /** The maximum number of members reported as learners; etcd's `--max-learners`. */
  readonly learnersMax: number;
  /** etcd's `--strict-reconfig-check`. */
  readonly strictReconfigCheck: boolean;
  readonly watchProgressIntervalMs: number;
};

export const defaultServiceLimits: ServiceLimits = {
  txnOpsMax: 128,
  learnersMax: 1,
  strictReconfigCheck: true,
  watchProgressIntervalMs: 600_000,
};

export type ServiceContext = {
  readonly consensus: ConsensusPort;
  readonly proposer: Proposer;
  readonly reads: ReadQueue;
  readonly machine: StateMachine;
  readonly lessor: Lessor;
  readonly quota: SpaceQuota;
  readonly memberChanges: MemberChanges;
  readonly createChangeId: () => ChangeId;
  readonly access: Access;
  readonly clock: Clock;
  /** Numbers from 0 to 1. */
  readonly random: () => number;
  readonly limits: ServiceLimits;
  /** 16 hex digits. */
  readonly clusterId: string;
  readonly clusterToken: string;
  /** The etcd version that this member reports, for example `3.6.1`. */
  readonly version: string;
  /** The member is going to stop: it serves, and drains its clients. */
  readonly shutdown: { begun: boolean };
  readonly drainClients: () => Promise<void>;
  readonly identity: { readonly clusterId: bigint; readonly memberId: bigint };
  /** For responses that are sent in the turn in which they are encoded; sending copies them. */
  readonly writer: WireWriter;
  /** Since the member started; for the metrics page. */
  readonly counts: {
    watchEvents: number;
    /** Keyspace scans of clients in progress. */
    hashScans: number;
    /** By reason, while this member leads. */
    readonly promotionsRejected: Map<string, number>;
  };
};

export type ServiceContextOptions = Omit<ServiceContext, "shutdown" | "identity" | "writer" | "counts">;

export function createServiceContext(options: ServiceContextOptions): ServiceContext {
  const identity = {
    clusterId: parseMemberId(options.clusterId),
    memberId: parseMemberId(options.consensus.memberId),
  };
  return {
    ...options,
    shutdown: { begun: false },
    identity,
    writer: new WireWriter(4096),
    counts: { watchEvents: 0, hashScans: 0, promotionsRejected: new Map() },
  };
}

/** `revision` 0 omits it, as in responses of the cluster service. */
export function responseHeader(context: ServiceContext, revision: number): ResponseHeader {
  const { clusterId, memberId } = context.identity;
  return { clusterId, memberId, revision, raftTerm: context.consensus.term() };
}
