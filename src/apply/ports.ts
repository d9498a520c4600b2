/**
 * Everything that apply needs from outside, as parameters. `cmd/haplan` passes the real ones; tests run a whole cluster
 * in memory. Every operation is idempotent: repeated after a crash it finds what it did the first time.
 */

import type { SnapshotDir } from "../backup/backup-dir.ts";
import type { Clock } from "../base/clock.ts";
import type { AskPresented, ConnectControlPlane, MembersRequest } from "../control-plane/control-plane.ts";
import type { Authority } from "../pki/authority-port.ts";
import type { LoadBalancer } from "../providers/load-balancer.ts";
import type { Provider } from "../providers/provider.ts";
import type { Journal } from "../state/journal.ts";
import type { StateStore } from "../state/state-store.ts";
import type { ApplyListener, WriteAvailability } from "./apply-event.ts";

/** A client of the write probe; one that `connects` opens a connection for each write. */
export type ProbeClientRequest = MembersRequest & { readonly connects: boolean };

export type ProbeRequest = {
  readonly clients: readonly ProbeClientRequest[];
  /**
   * One client more if the load balancer itself is changed: it writes through the endpoint, over a new connection for
   * each write, and never retries. Null if there is none.
   */
  readonly endpoint: MembersRequest | null;
  /** A longer gap is reported while it lasts; absent: none is. */
  readonly maxGapMs?: number;
};

/** How often a write starts: `dense` during a step that clients may notice. */
export type ProbePace = "steady" | "dense";

export type RunningProbe = {
  /** From now on a step runs, or no longer: gaps are attributed to the steps that run. */
  markStep(id: string, phase: "started" | "ended"): void;
  setPace(pace: ProbePace): void;
  /** The client of the endpoint continues through another one. */
  moveEndpoint(endpoint: MembersRequest): void;
  /** All clients connect again with these credentials; there are as many as before. */
  reconnect(request: ProbeRequest): void;
  /** Ends the probe and returns its result; null if it never wrote. */
  stop(): Promise<WriteAvailability | null>;
};

/** Starts writing continuously, as these clients. `onLongGap` is called with each gap beyond the request's `maxGapMs` as it grows. */
export type ProbeWrites = (request: ProbeRequest, onLongGap?: (gapMs: number) => void) => Promise<RunningProbe>;

export type SavedSnapshot = { readonly revision: number; readonly keys: number };

export type ApplyPorts = {
  readonly provider: Provider;
  readonly loadBalancer: LoadBalancer;
  readonly authority: Authority;
  readonly connect: ConnectControlPlane;
  readonly probeWrites: ProbeWrites;
  readonly askPresented: AskPresented;
  readonly stateStore: Omit<StateStore, "overwrite">;
  readonly journal: Journal;
  readonly snapshots: SnapshotDir;
  /** Reads the whole snapshot as a restore would. @throws HaplanError if a restore would not take it */
  readonly verifySnapshot: (path: string) => Promise<SavedSnapshot>;
  readonly clock: Clock;
  /** A new random lineage, created once in a cluster's life. */
  readonly newLineage: () => string;
  readonly emit: ApplyListener;
};
