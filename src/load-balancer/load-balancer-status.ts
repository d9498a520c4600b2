/**
 * The status of the load balancer: a small file beside its configuration, rewritten every second and on every change. A
 * file can be read on any machine that files can be written to, and its age shows whether its writer still works.
 */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import type { BackendState } from "./backend.ts";

export type BackendStatus = {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly state: BackendState;
  /** Why it is not ready; empty if it is. */
  readonly reason: string;
  readonly connections: number;
};

export type HoldProgress = {
  /** Of the hold that was asked for. */
  readonly id: string;
  /** Whether all connections of before are closed. */
  readonly complete: boolean;
  /** How many of them had no moment between two calls. */
  readonly cut: number;
};

export type LoadBalancerStatus = {
  readonly pid: number;
  /** ISO 8601. */
  readonly updatedAt: string;
  readonly listens: readonly string[];
  readonly connections: number;
  /** Connections since its start: ended, and rejected because there was no backend or no capacity. */
  readonly served: number;
  readonly refused: number;
  /** While clients wait. */
  readonly held?: HoldProgress;
  readonly backends: readonly BackendStatus[];
  /** The API servers of Kubernetes; absent without it. */
  readonly apiServers?: readonly BackendStatus[];
};

/** Beside the configuration, in the unit's directory. */
export const statusFileName = "status.json";
export const statusIntervalMs = 1000;

/** Not fsynced: it describes the present, and is worthless after a crash. */
export function writeStatus(path: string, status: LoadBalancerStatus): void {
  const aside = `${path}.${process.pid}.tmp`;
  writeFileSync(aside, `${JSON.stringify(status, null, 2)}\n`, { mode: 0o600 });
  renameSync(aside, path);
}

export function removeStatus(path: string): void {
  rmSync(path, { force: true });
}

/** Null if `text` is not a status, or its writer has not written for five intervals. `now` in ms since the epoch. */
export function parseStatus(text: string, now: number): LoadBalancerStatus | null {
  try {
    const status = JSON.parse(text) as LoadBalancerStatus;
    return now - Date.parse(status.updatedAt) <= 5 * statusIntervalMs ? status : null;
  } catch {
    return null;
  }
}
