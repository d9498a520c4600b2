/** The members of a cluster as apply needs them. Every operation is idempotent. */

import type { TlsMaterial } from "../pki/tls-material.ts";
import type { ObservedCertificate, ObservedMembership } from "../plan/observed-cluster.ts";

/** Called when a member is called, and again (`ended`) once it has answered or will no longer answer. */
export type ProbeListener = (endpoint: string, ended: boolean) => void;

/** The member that sends a snapshot. */
export type SnapshotSource = {
  /** Empty if it has not said its name. */
  readonly name: string;
  readonly endpoint: string;
  readonly leads: boolean;
  /** Empty if the member did not list the cluster. */
  readonly clusterId: string;
};

/** A connection to a cluster through any of its members; requests go to whichever answers. */
export type ControlPlane = {
  /**
   * Queries every endpoint; null if none of them answered within the timeout. Never throws for an endpoint that is
   * down.
   * @throws HaplanError `control-plane/user-needed`, `control-plane/login-refused` or `control-plane/not-permitted`
   */
  observe(onProbe?: ProbeListener): Promise<ObservedMembership | null>;
  /** Adds a learner, or returns the learner that already has this peer URL. A dead voter may have the same URL. */
  addLearner(request: { readonly name: string; readonly peerUrl: string }): Promise<{ readonly memberId: string }>;
  /** How many entries a learner's log is behind the leader's; null while it does not answer. */
  learnerLag(memberId: string): Promise<number | null>;
  /**
   * One joint change; returns once the final configuration is in effect. Voters of `from` that are not in `to` no
   * longer vote, but are members (learners) until `removeMember`. Does nothing if `to` is already in effect.
   * @throws HaplanError `control-plane/voters-moved` if the voters are neither `from` nor `to`.
   */
  changeVoters(request: { readonly from: readonly string[]; readonly to: readonly string[] }): Promise<void>;
  /** Removes a member that does not vote; no error if it is already gone. */
  removeMember(memberId: string): Promise<void>;
  /** The member's peers reach it only at `peerUrl` from then on. Does nothing if they already do. */
  updateMember(request: { readonly memberId: string; readonly peerUrl: string }): Promise<void>;
  /** Returns once `memberId` leads. */
  moveLeader(memberId: string): Promise<void>;
  /**
   * The data in chunks, as etcd's Maintenance.Snapshot sends it, from the member that it costs least: the follower that
   * is least behind, and the leader only if no follower answers.
   * @throws HaplanError `control-plane/no-snapshot` if the members do not support that.
   */
  snapshot(onSource?: (source: SnapshotSource) => void): AsyncIterable<Uint8Array>;
  /**
   * One write through any member, for the write probe. Rejects if it is not acknowledged within `timeoutMs`. A write
   * that no member has processed is retried meanwhile, unless `repeats` is false.
   */
  put(key: string, value: string, timeoutMs: number, repeats?: boolean): Promise<void>;
  close(): void;
};

/** The certificate that a port presents in a TLS handshake. */
export type PresentedCertificate = Pick<ObservedCertificate, "fingerprint" | "notAfter"> & {
  /** None of the authorities in the credentials that were presented has issued it. */
  readonly foreignIssuer?: true;
};

/** Null if no handshake is possible at `url`. `tls` is presented to a port that requires a certificate. */
export type AskPresented = (url: string, tls: TlsMaterial | null) => Promise<PresentedCertificate | null>;

export type EtcdUser = { readonly name: string; readonly password: string };

/** `endpoints` are client URLs; `tls` is null if TLS is off; `user` is for clusters with users. */
export type MembersRequest = {
  readonly endpoints: readonly string[];
  readonly tls: TlsMaterial | null;
  readonly user?: EtcdUser | null;
};

export type ConnectControlPlane = (request: MembersRequest) => ControlPlane;
