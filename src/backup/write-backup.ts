/**
 * Writes a backup: to a temporary file, encrypted on the way if there is a secret, verified by reading all of it as a
 * restore would, and only then renamed. A file of this name is whole or absent.
 */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirDurably, syncDir } from "../base/durable-file.ts";
import { BackupSealer, type BackupSecret } from "./backup-cipher.ts";
import { type BackupManifest, type BackupOrigin, writeManifest } from "./backup-manifest.ts";
import { verifyBackup, writeAll } from "./open-backup.ts";

export type BackupRequest = {
  readonly path: string;
  /** Null: not encrypted. */
  readonly secret: BackupSecret | null;
  readonly createdAtMs: number;
  /** Called once all pieces have come. */
  readonly origin: () => BackupOrigin;
};

/** Readable by the owner only. @throws HaplanError as `verifyBackup`; nothing is kept then */
export async function writeBackup(
  pieces: AsyncIterable<Uint8Array>,
  { path, secret, createdAtMs, origin }: BackupRequest,
): Promise<BackupManifest> {
  makeDirDurably(dirname(path));
  const aside = `${path}.${process.pid}.tmp`;
  try {
    const fileSha256 = await writeStream(aside, pieces, secret);
    const facts = await verifyBackup(aside, async () => secret);
    const manifest: BackupManifest = {
      kind: "haplan.backup",
      version: 1,
      createdAt: new Date(createdAtMs).toISOString(),
      ...origin(),
      ...facts,
      fileBytes: statSync(aside).size,
      fileSha256,
    };
    renameSync(aside, path);
    syncDir(dirname(path));
    writeManifest(path, manifest);
    return manifest;
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

async function writeStream(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  secret: BackupSecret | null,
): Promise<string> {
  const hash = createHash("sha256");
  const sealer = secret === null ? null : new BackupSealer(secret);
  const file = openSync(path, "w", 0o600);
  const write = (bytes: Uint8Array): void => {
    hash.update(bytes);
    writeAll(file, bytes);
  };
  try {
    for await (const piece of pieces) write(sealer?.add(piece) ?? piece);
    if (sealer !== null) write(sealer.end());
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}
