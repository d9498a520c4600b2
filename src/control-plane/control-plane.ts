/** What apply needs of the members of a cluster. Every act is idempotent. */

import type { TlsMaterial } from "../pki/tls-material.ts";
import type { ObservedCertificate, ObservedMembership } from "../plan/observed-cluster.ts";

/** Told when a member is asked, and again (`ended`) once it has answered or will not answer any more. */
export type ProbeListener = (endpoint: string, ended: boolean) => void;

/** A connection to a cluster through any of its members; requests go to whichever answers. */
export type ControlPlane = {
  /**
   * Asks every endpoint; null when none of them answered within the timeout. Never throws for an endpoint that is down.
   * @throws HaplanError `control-plane/user-needed`, `control-plane/login-refused` or `control-plane/not-permitted`
   */
  observe(onProbe?: ProbeListener): Promise<ObservedMembership | null>;
  /** Adds a learner, or returns the learner that already has this peer URL. A dead voter may have the same URL. */
  addLearner(request: { readonly name: string; readonly peerUrl: string }): Promise<{ readonly memberId: string }>;
  /** How far a learner's log is behind the leader's; null while it does not answer. */
  learnerLag(memberId: string): Promise<number | null>;
  /**
   * One joint change; returns once the final configuration is in force. Voters of `from` that are not in `to` no longer
   * vote, but are members (learners) until `removeMember`. Does nothing when `to` is in force already.
   * @throws HaplanError `control-plane/voters-moved` when the voters are neither `from` nor `to`.
   */
  changeVoters(request: { readonly from: readonly string[]; readonly to: readonly string[] }): Promise<void>;
  /** Forgets a member that does not vote; no error when it is gone already. */
  removeMember(memberId: string): Promise<void>;
  /** The member's peers reach it at `peerUrl` from then on, and nowhere else. Does nothing when they do already. */
  updateMember(request: { readonly memberId: string; readonly peerUrl: string }): Promise<void>;
  /** Returns once `memberId` leads. */
  moveLeader(memberId: string): Promise<void>;
  /**
   * The data of a member that is up to date, piece by piece, as etcd's Maintenance.Snapshot gives it.
   * @throws HaplanError `control-plane/no-snapshot` when the members cannot do that.
   */
  snapshot(): AsyncIterable<Uint8Array>;
  /**
   * One write through any member, for the write probe. Rejects when it is not acknowledged within `timeoutMs`. What no
   * member has processed is repeated meanwhile, unless `repeats` is false.
   */
  put(key: string, value: string, timeoutMs: number, repeats?: boolean): Promise<void>;
  close(): void;
};

/** What a port shows in a TLS handshake. */
export type PresentedCertificate = Pick<ObservedCertificate, "fingerprint" | "notAfter">;

/** Null when there is no handshake to be had at `url`. `tls` is shown to a port that asks for a certificate. */
export type AskPresented = (url: string, tls: TlsMaterial | null) => Promise<PresentedCertificate | null>;

export type EtcdUser = { readonly name: string; readonly password: string };

/** `endpoints` are client URLs; `tls` is null when TLS is off; `user` is for clusters that have users. */
export type MembersRequest = {
  readonly endpoints: readonly string[];
  readonly tls: TlsMaterial | null;
  readonly user?: EtcdUser | null;
};

export type ConnectControlPlane = (request: MembersRequest) => ControlPlane;
