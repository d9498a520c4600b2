/** An artifact that the spec names: a file, or a URL that is downloaded once and kept. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { syncDir } from "../base/durable-file.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { type Architecture, architectures } from "./artifact-entries.ts";
import { firstEntry } from "./first-entry.ts";

/** As the spec has it: `file` or `url`, and for a URL always `sha256`. */
export type ArtifactLocation = { readonly file?: string; readonly url?: string; readonly sha256?: string };

export type GivenArtifact = {
  readonly path: string;
  /** SHA-256 of the file, in hexadecimal. */
  readonly sha256: string;
  readonly version: string;
  readonly architecture: Architecture;
};

export type OpenArtifactRequest = {
  readonly location: ArtifactLocation;
  /** Relative paths are from here. */
  readonly cwd: string;
  /** Where downloads are kept. */
  readonly cacheDirectory: string;
  readonly signal: AbortSignal;
};

/**
 * Finds or downloads the artifact, and compares it with its digest.
 * @throws HaplanError `artifact/not-found`, `artifact/download`, `artifact/digest` or `artifact/unreadable`
 */
export async function openGivenArtifact(request: OpenArtifactRequest): Promise<GivenArtifact> {
  const { location, cwd } = request;
  const path = location.file === undefined ? await downloaded(request) : resolve(cwd, location.file);
  if (!existsSync(path))
    throw new HaplanError("artifact/not-found", `There is no file "${path}", which provider.artifact names`);
  const sha256 = await fileDigest(path);
  const wanted = location.sha256?.toLowerCase();
  if (wanted !== undefined && wanted !== sha256) {
    throw new HaplanError(
      "artifact/digest",
      `"${path}" has the SHA-256 digest ${sha256}, and provider.artifact.sha256 is ${wanted}: use the file that was meant, or correct the digest`,
    );
  }
  return { path, sha256, ...(await readArtifactName(path)) };
}

export async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** A download that was begun and not finished is begun again. */
async function downloaded({ location, cacheDirectory, signal }: OpenArtifactRequest): Promise<string> {
  const { url = "", sha256 = "" } = location;
  const path = join(cacheDirectory, `${sha256.toLowerCase()}.tar.gz`);
  if (existsSync(path)) return path;
  const part = `${path}.${process.pid}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const response = await fetch(url, { signal });
    if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status}`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(part), { signal });
    const found = await fileDigest(part);
    if (found !== sha256.toLowerCase()) throw new Error(`its SHA-256 digest is ${found}, and not ${sha256}`);
    const file = await open(part, "r+");
    await file.sync().finally(() => file.close());
    await rename(part, path);
    syncDir(dirname(path));
    return path;
  } catch (error) {
    await rm(part, { force: true });
    signal.throwIfAborted();
    throw new HaplanError("artifact/download", `Cannot download ${url}: ${causeText(error)}`, { cause: error });
  }
}

/** `fetch` says only that it failed; its cause says why. */
function causeText(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? errorText(error.cause) : errorText(error);
}

/** The name of the directory that it unpacks to says what it is: `haplan-0.1.0-linux-x64`. */
async function readArtifactName(path: string): Promise<Pick<GivenArtifact, "version" | "architecture">> {
  const first = await firstEntry(path).catch((error: unknown) => {
    throw new HaplanError("artifact/unreadable", `"${path}" is not an artifact of haplan: ${errorText(error)}`);
  });
  const [, version, name] = /^haplan-(.+)-linux-([a-z0-9]+)\//.exec(first) ?? [];
  const architecture = architectures.find((each) => each === name);
  if (version === undefined || architecture === undefined) {
    throw new HaplanError(
      "artifact/unreadable",
      `"${path}" is not an artifact of haplan: it begins with "${first}". Build one with: haplan artifact`,
    );
  }
  return { version, architecture };
}
