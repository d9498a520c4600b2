/**
 * Which build of haplan an artifact was made from, as its package.json says: the same build has one name, whether it is built
 * where haplan runs or is a file. It counts only while everything else in the archive is as it was built.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import type { ArtifactEntry } from "./artifact-entries.ts";

export type BuildRecord = {
  /** Of what goes into artifacts of this build, whatever their architecture. */
  readonly digest: string;
  /** Of all other files of the archive. */
  readonly contents: string;
};

export const recordFile = "package.json";

/** Of entries without the record. */
export async function contentsOf(entries: readonly ArtifactEntry[]): Promise<string> {
  const digests = new Map<string, string>();
  for (const { path, content } of entries) {
    const hash = createHash("sha256");
    if ("text" in content) hash.update(content.text);
    else await pipeline(createReadStream(content.file), hash);
    digests.set(path, hash.digest("hex"));
  }
  return contentsDigest(digests);
}

/** The digest of the build of an artifact; null if it does not say, or was changed since. */
export async function buildOf(artifact: string): Promise<string | null> {
  const digests = new Map<string, string>();
  let about = "";
  const archive = extract();
  const ended = pipeline(createReadStream(artifact), createGunzip(), archive);
  // The loop below rejects with the same error.
  ended.catch(() => undefined);
  for await (const entry of archive) {
    const { name, type } = entry.header;
    const path = name.slice(name.indexOf("/") + 1);
    const hash = createHash("sha256");
    for await (const chunk of entry) {
      hash.update(chunk as Buffer);
      if (path === recordFile) about += String(chunk);
    }
    if (type === "file" && path !== recordFile) digests.set(path, hash.digest("hex"));
  }
  await ended;
  const record = recordIn(about);
  return record !== null && record.contents === contentsDigest(digests) ? record.digest : null;
}

/** The order of the files does not matter. */
function contentsDigest(digests: ReadonlyMap<string, string>): string {
  const lines = [...digests].map(([path, digest]) => `${digest} ${path}\n`).sort();
  return createHash("sha256").update(lines.join("")).digest("hex");
}

function recordIn(about: string): BuildRecord | null {
  try {
    const { build } = JSON.parse(about) as { readonly build?: Partial<BuildRecord> };
    const { digest, contents } = build ?? {};
    return typeof digest === "string" && typeof contents === "string" ? { digest, contents } : null;
  } catch {
    return null;
  }
}
