/**
 * Snapshots of a cluster's data, kept beside its state: `NAME.db` as sent by the member, which etcd's own tools
 * restore, and `NAME.db.sha256` for `sha256sum -c`. They outlive the cluster: backups are only removed by hand.
 */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { makeDirDurably, syncDir, writeFileDurably } from "../base/durable-file.ts";
import { HaplanError } from "../base/haplan-error.ts";

export type KeptSnapshot = { readonly path: string; readonly sha256: string; readonly sizeBytes: number };

/** Snapshots of the data, kept beside the state. */
export type SnapshotDir = {
  /**
   * Writes a snapshot durably under a new name, readable by the owner only, once the checksum at its end is verified.
   * @throws HaplanError `state/damaged-snapshot`; nothing is kept then.
   */
  keep(name: string, pieces: AsyncIterable<Uint8Array>): Promise<KeptSnapshot>;
};

const digestBytes = 32;

export function createSnapshotDir(directory: string): SnapshotDir {
  return { keep: (name, pieces) => keep(directory, name, pieces) };
}

async function keep(directory: string, name: string, pieces: AsyncIterable<Uint8Array>): Promise<KeptSnapshot> {
  makeDirDurably(directory);
  const path = join(directory, `${name}.db`);
  const aside = `${path}.${process.pid}.tmp`;
  try {
    const { sha256, sizeBytes } = await write(aside, pieces);
    renameSync(aside, path);
    syncDir(directory);
    writeFileDurably(`${path}.sha256`, `${sha256}  ${name}.db\n`);
    return { path, sha256, sizeBytes };
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

/** Withholds the last 32 bytes: they are the digest of everything before them. */
async function write(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ readonly sha256: string; readonly sizeBytes: number }> {
  const whole = createHash("sha256");
  const content = createHash("sha256");
  let held: Uint8Array = new Uint8Array(0);
  let sizeBytes = 0;
  const file = openSync(path, "w", 0o600);
  try {
    for await (const piece of pieces) {
      for (let written = 0; written < piece.length; ) written += writeSync(file, piece, written);
      whole.update(piece);
      sizeBytes += piece.length;
      const joined = Buffer.concat([held, piece]);
      const safe = Math.max(0, joined.length - digestBytes);
      content.update(joined.subarray(0, safe));
      held = joined.subarray(safe);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  if (sizeBytes <= digestBytes || !content.digest().equals(held)) {
    throw new HaplanError(
      "state/damaged-snapshot",
      `The snapshot is incomplete: its checksum does not match its ${sizeBytes} bytes. It was not kept`,
    );
  }
  return { sha256: whole.digest("hex"), sizeBytes };
}
