/**
 * What apply needs from the world, as parameters. The real ones are put together by `cmd/haplan`; tests script a
 * whole world in memory. Every act is idempotent: done again after a crash it finds what it did the first time.
 */
import type { Clock } from "../base/clock.ts";
import type { JournalRecord } from "../plan/journal-record.ts";
import type { ObservedAuthority, ObservedCertificate, ObservedMembership } from "../plan/observed-cluster.ts";
import type { State } from "../plan/state.ts";
import type { Provider } from "../providers/provider.ts";
import type { ApplyListener } from "./apply-event.ts";

export type TlsMaterial = {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** What a member shows its peers, when that is something else. */
  readonly peer?: Omit<TlsMaterial, "peer">;
  /**
   * SHA-256 fingerprints of servers' certificates that are accepted although they have expired. haplan alone does so, and
   * only for certificates of its own cluster: how else would it reach the members to renew them?
   */
  readonly acceptedExpired?: readonly string[];
};

export type CertificateRequest = {
  readonly name: string;
  /** `member`: server and client use; `client`: client use only. */
  readonly profile: "member" | "client";
  readonly commonName: string;
  /** IP addresses and DNS names, told apart by their form. */
  readonly subjectAltNames: readonly string[];
  /** Fingerprint of the certificate that is to be replaced even if it is still good; a later one is kept. */
  readonly replaces?: string | null;
};

/** The cluster's own certificate authority and what it has issued; keys stay behind this port except in `material`. */
export type Authority = {
  observe(): Promise<{
    readonly authority: ObservedAuthority | null;
    readonly certificates: readonly ObservedCertificate[];
  }>;
  /** Makes the CA, or returns the one that is there. */
  createAuthority(commonName: string): Promise<ObservedAuthority>;
  /**
   * Replaces the CA's certificate of fingerprint `replaces` by one with the same name and key and a new life, so that all
   * it has signed stays valid. Returns the present one when it is a later one already.
   */
  renewAuthority(replaces: string): Promise<ObservedAuthority>;
  /**
   * Issues, or returns the present one when it answers the request. Never for longer than the CA lives.
   * @throws HaplanError `pki/authority-expired`, `pki/authority-key-missing`
   */
  issue(request: CertificateRequest): Promise<ObservedCertificate>;
  /** @throws HaplanError `pki/unknown-certificate` */
  material(name: string): Promise<TlsMaterial>;
  /**
   * What haplan shows the members: its own certificate or, where that is no use any more, one that the CA signs for the
   * occasion and that is written nowhere.
   * @throws HaplanError `pki/not-authenticated` saying which file is missing or has expired
   */
  clientMaterial(): Promise<TlsMaterial>;
  /** Forgets one certificate and its key; no error when there is none. */
  removeCertificate(name: string): Promise<void>;
  /** Removes the CA, all certificates and their keys. */
  removeAuthority(): Promise<void>;
};

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
  /** One write through any member, for the write probe. Rejects when it is not acknowledged within `timeoutMs`. */
  put(key: string, value: string, timeoutMs: number): Promise<void>;
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

export type StateStore = {
  read(): Promise<State | null>;
  /** Atomic and fsynced. @throws HaplanError when the stored serial or lineage is not the one this one follows. */
  write(state: State): Promise<void>;
  /** After destroy: nothing is left to remember. */
  remove(): Promise<void>;
};

export type Journal = {
  /** All records, oldest first; a torn last line is dropped. */
  read(): Promise<readonly JournalRecord[]>;
  /** Appended and fsynced when it returns. `sequence` and `at` are filled in. */
  append(record: Omit<JournalRecord, "sequence" | "at">): Promise<void>;
  /** After an apply that went through: the journal starts anew. */
  clear(): Promise<void>;
};

export type KeptSnapshot = { readonly path: string; readonly sha256: string; readonly sizeBytes: number };

/** Snapshots of the data, kept beside the state. */
export type SnapshotFolder = {
  /**
   * Writes them durably under a name of its own, readable to the owner only, once the checksum at their end is right.
   * @throws HaplanError `state/damaged-snapshot`; nothing is kept then.
   */
  keep(name: string, pieces: AsyncIterable<Uint8Array>): Promise<KeptSnapshot>;
};

export type ApplyPorts = {
  readonly provider: Provider;
  readonly authority: Authority;
  readonly connect: ConnectControlPlane;
  readonly askPresented: AskPresented;
  readonly stateStore: StateStore;
  readonly journal: Journal;
  readonly snapshots: SnapshotFolder;
  readonly clock: Clock;
  /** A fresh random lineage, asked for once in a cluster's life. */
  readonly newLineage: () => string;
  readonly emit: ApplyListener;
};
