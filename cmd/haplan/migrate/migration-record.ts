/**
 * How far a migration is, in `.haplan/<cluster>/migration`: whatever interrupts it, the same command continues it, and nothing
 * else changes the cluster meanwhile.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { compileSchema } from "../../../src/base/compile-schema.ts";
import { makeDirDurably, syncDir, writeFileDurably } from "../../../src/base/durable-file.ts";
import { errorText } from "../../../src/base/haplan-error.ts";
import { migrationDir } from "../cluster-files.ts";
import { type RefusalError, refuse } from "../refusal.ts";
import type { Session } from "../session.ts";

/**
 * `copying`: the new members get the snapshot. `following`: they follow the old cluster, which has the clients. `switching`: the
 * old cluster may be frozen. `switched`: the new members have the clients. `returning`: the old cluster gets what was written
 * since. `returned`: it has the clients again. `finished`: the old cluster is not needed any more.
 */
export type MigrationPhase = "copying" | "following" | "switching" | "switched" | "returning" | "returned" | "finished";

export type MigrationRecord = {
  readonly formatVersion: 1;
  readonly phase: MigrationPhase;
  /** The cluster id of the old cluster. */
  readonly clusterId: string;
  readonly engine: "agent" | "etcd";
  readonly endpoints: readonly string[];
  /** The revision of the snapshot. */
  readonly snapshotRevision: number;
  /** The last revision that both clusters have; null before the switch. */
  readonly switchRevision: number | null;
};

const schema = {
  type: "object",
  additionalProperties: false,
  required: ["formatVersion", "phase", "clusterId", "engine", "endpoints", "snapshotRevision", "switchRevision"],
  properties: {
    formatVersion: { const: 1 },
    phase: { enum: ["copying", "following", "switching", "switched", "returning", "returned", "finished"] },
    clusterId: { type: "string" },
    engine: { enum: ["agent", "etcd"] },
    endpoints: { type: "array", items: { type: "string" }, minItems: 1 },
    snapshotRevision: { type: "integer" },
    switchRevision: { type: ["integer", "null"] },
  },
};

const validate = compileSchema<MigrationRecord>(schema, { allErrors: true });

function recordFile(session: Session): string {
  return join(migrationDir(session.directory), "record.json");
}

/** The plan of the copy that is being made. */
export function migrationPlanFile(session: Session): string {
  return join(migrationDir(session.directory), "plan.json");
}

/** A snapshot of the old cluster: readable by the owner only. */
export function migrationSnapshot(session: Session, name: string): string {
  return join(migrationDir(session.directory), `${name}.db`);
}

/** Null if there is none. @throws RefusalError if it cannot be read */
export function readMigration(session: Session): MigrationRecord | null {
  const path = recordFile(session);
  if (!existsSync(path)) return null;
  try {
    const record: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (validate(record)) return record;
  } catch (error) {
    throw damaged(path, errorText(error));
  }
  throw damaged(path, "it is not what haplan writes");
}

function damaged(path: string, reason: string): RefusalError {
  return refuse(
    "cli/migration-damaged",
    `Cannot read ${path}: ${reason}`,
    "It says how far the migration is. Restore the file from a backup of this directory, or use the haplan that wrote it.",
  );
}

export function saveMigration(session: Session, record: MigrationRecord): MigrationRecord {
  makeDirDurably(migrationDir(session.directory));
  writeFileDurably(recordFile(session), `${JSON.stringify(record, null, 2)}\n`);
  return record;
}

/** Snapshots and plans are not needed once the copy is made or given up: also those of runs that were killed. */
export function removeCopyFiles(session: Session): void {
  const directory = migrationDir(session.directory);
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (path !== recordFile(session)) rmSync(path, { force: true });
  }
  syncDir(directory);
}

/** @throws RefusalError while the spec's cluster is being brought over, and before */
export function refuseDuringMigration(session: Session, mode: "apply" | "destroy", isApplied: boolean): void {
  const record = readMigration(session);
  const phase = record?.phase ?? null;
  if (phase === "finished") return;
  if (phase === null) {
    if (mode === "destroy" || session.spec.controlPlane.migrateFrom === undefined || isApplied) return;
    throw refuse(
      "cli/migrate-first",
      "This cluster is to replace the one of controlPlane.migrateFrom, and is made by a migration",
      "It would start empty. Bring the data over, and then change it with plan and apply:",
      [["migrate"]],
    );
  }
  if (mode === "destroy" && (phase === "copying" || phase === "following" || phase === "returned")) return;
  throw refuse("cli/migration-incomplete", `The migration is not complete: ${phaseText[phase]}`, waysOut[phase], [
    ...(phase === "switched" ? [["migrate", "-finish"] as const] : phase === "returning" ? [] : [["migrate"] as const]),
    ["migrate", "-rollback"],
  ]);
}

const phaseText: Readonly<Record<Exclude<MigrationPhase, "finished">, string>> = {
  copying: "the new members get a snapshot of the old cluster",
  following: "the new members follow the old cluster, which has the clients",
  switching: "the clients are being moved to the new members",
  switched: "the new members have the clients, and the old cluster is kept for a way back",
  returning: "the clients are being moved back to the old cluster",
  returned: "the old cluster has the clients, and the new members have an old copy",
};

const waysOut: Readonly<Record<Exclude<MigrationPhase, "finished">, string>> = {
  copying: "Continue it, or leave the clients where they are:",
  following: "Continue it, or leave the clients where they are:",
  switching: "Continue it, or move the clients back:",
  switched: "Finish it, which gives up the way back, or move the clients back:",
  returning: "Continue to move them back:",
  returned: "Migrate again, or destroy the new members. The command of the first line copies anew:",
};
