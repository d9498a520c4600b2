/**
 * Opens a backup: a snapshot of haplan's agent or of etcd, as it is or encrypted. Everything that a restore relies on is
 * checked first, so that a file that cannot be restored is refused before anything is touched.
 */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirDurably, syncDir } from "../base/durable-file.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { openFileSource, type PageSource } from "../raft-agent/bbolt/page-source.ts";
import { inspectSnapshot, type SnapshotFacts } from "../raft-agent/etcd-snapshot/inspect-snapshot.ts";
import { openSnapshotSource } from "../raft-agent/etcd-snapshot/snapshot-file.ts";
import { type BackupSecret, isSealedBackup, unsealedSource } from "./backup-cipher.ts";

export type BackupFacts = SnapshotFacts & {
  readonly encrypted: boolean;
  /** Of the snapshot, which in an encrypted backup is not that of the file. */
  readonly snapshotBytes: number;
  readonly snapshotSha256: string;
};

/** Asked only for a backup that is encrypted; null if the spec has no `backup.encryption`. */
export type AskSecret = () => Promise<BackupSecret | null>;

const sliceBytes = 1 << 20;

/**
 * Verifies a backup by reading all of it. Changes nothing. Errors say `name`.
 * @throws HaplanError `backup/unreadable`, `backup/damaged`, `backup/foreign`, `backup/too-new`, `backup/wrong-key`,
 * `backup/key-needed`
 */
export async function verifyBackup(path: string, askSecret: AskSecret, name: string = path): Promise<BackupFacts> {
  using source = await openBackupSource(path, askSecret, name);
  return factsOf(name, source, source.encrypted);
}

/** Writes the snapshot of a backup to `target`, decrypted, whole and durably, readable by the owner only. */
export async function extractSnapshot(path: string, askSecret: AskSecret, target: string): Promise<BackupFacts> {
  using source = await openBackupSource(path, askSecret, path);
  const facts = factsOf(path, source, source.encrypted);
  makeDirDurably(dirname(target));
  const aside = `${target}.${process.pid}.tmp`;
  try {
    const file = openSync(aside, "w", 0o600);
    try {
      for (let at = 0; at < source.sizeBytes; at += sliceBytes) writeAll(file, source.read(at, sliceBytes));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(aside, target);
    syncDir(dirname(target));
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
  return facts;
}

export function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

type BackupSource = PageSource & Disposable & { readonly encrypted: boolean };

async function openBackupSource(path: string, askSecret: AskSecret, name: string): Promise<BackupSource> {
  const file = openFile(path);
  try {
    if (!isSealedBackup(file)) return { ...file, encrypted: false };
    const secret = await askSecret();
    if (secret !== null) return { ...unsealedSource(name, file, secret), encrypted: true };
    throw new HaplanError(
      "backup/key-needed",
      `The backup "${name}" is encrypted, and the spec has no backup.encryption\nWrite the key that it was encrypted with into the spec: backup: { encryption: { keyFile: backup.key } }`,
    );
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

function openFile(path: string): PageSource & Disposable {
  try {
    if (!statSync(path).isFile()) throw new Error("it is not a file");
    return openFileSource(path);
  } catch (cause) {
    throw new HaplanError("backup/unreadable", `Cannot read the backup "${path}": ${errorText(cause)}`, { cause });
  }
}

function factsOf(path: string, source: PageSource, encrypted: boolean): BackupFacts {
  try {
    // The caller closes the source.
    const shared = { ...source, [Symbol.dispose]: () => {} };
    const { database, hasHash } = openSnapshotSource(path, shared, { skipHashCheck: false });
    const facts = inspectSnapshot(database);
    if (!hasHash) throw new HaplanError("snapshot/no-hash", "");
    const hash = createHash("sha256");
    for (let at = 0; at < source.sizeBytes; at += sliceBytes) hash.update(source.read(at, sliceBytes));
    return { ...facts, encrypted, snapshotBytes: source.sizeBytes, snapshotSha256: hash.digest("hex") };
  } catch (error) {
    throw refusal(path, error);
  }
}

/** Says of the file what the readers of its parts have found. */
function refusal(path: string, error: unknown): unknown {
  if (!(error instanceof HaplanError)) return error;
  const named = (code: string, reason: string, advice: string): HaplanError =>
    new HaplanError(code, `The backup "${path}" ${reason}\n${advice} Nothing was changed.`, { cause: error });
  switch (error.code) {
    case "snapshot/no-hash":
      return named(
        "backup/damaged",
        "has no SHA-256 at its end: it was cut, or copied from a data directory",
        "Take another backup. `haplan-agent snapshot restore --skip-hash-check` restores such a file by hand.",
      );
    case "snapshot/hash":
      return named(
        "backup/damaged",
        "is damaged: its content does not match its SHA-256",
        "Take another backup: haplan backups lists them.",
      );
    case "snapshot/too-new":
      return named("backup/too-new", `is too new. ${error.message}`, "Use a newer haplan.");
    case "snapshot/foreign":
      return named("backup/foreign", `is no snapshot of etcd. ${error.message}`, "Name another file.");
    case "bbolt/damaged":
      if (error.message.includes("is it a snapshot at all"))
        return named("backup/foreign", "is neither a snapshot of etcd nor an encrypted backup", "Name another file.");
      return named("backup/damaged", `is damaged. ${error.message}`, "Take another backup: haplan backups lists them.");
    default:
      return error;
  }
}
