/** Backups that members take by themselves, under the names of those that `haplan backup` writes to a file. */
import { Counter, Gauge, type Registry } from "prom-client";

export type BackupMetrics = {
  taken(cluster: string, backup: MeasuredBackup): void;
  failed(cluster: string): void;
};

export type MeasuredBackup = {
  /** Milliseconds since the epoch. */
  readonly takenAtMs: number;
  readonly fileBytes: number;
  readonly keys: number;
  readonly revision: number;
};

/** There are no samples before the first backup, or the first failure. */
export function addBackups(registry: Registry): BackupMetrics {
  const shared = { labelNames: ["cluster"], registers: [registry] };
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, ...shared });
  const timestamp = gauge(
    "haplan_backup_timestamp_seconds",
    "When this member's newest verified backup was taken, in seconds since the epoch.",
  );
  const size = gauge("haplan_backup_size_bytes", "Size of this member's newest verified backup's file.");
  const keys = gauge("haplan_backup_keys", "Keys in this member's newest verified backup.");
  const revision = gauge("haplan_backup_revision", "Revision of this member's newest verified backup.");
  const failures = new Counter({
    name: "haplan_backup_failures_total",
    help: "Backups that this member could not take.",
    ...shared,
  });
  return {
    taken: (cluster, backup) => {
      timestamp.set({ cluster }, backup.takenAtMs / 1000);
      size.set({ cluster }, backup.fileBytes);
      keys.set({ cluster }, backup.keys);
      revision.set({ cluster }, backup.revision);
    },
    failed: (cluster) => failures.inc({ cluster }),
  };
}
