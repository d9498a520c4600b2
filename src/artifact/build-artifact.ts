/**
 * Builds the artifact that runs on a host without Node.js, npm or internet: haplan's programs, the runtime, and the packages
 * with native code, in one compressed archive. npm fetches what is of others and checks it against the hashes of
 * `artifact/package-lock.json`. Of the same build the same artifact comes out, byte for byte before compression.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, mkdtemp, open, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { ExecaError, execa } from "execa";
import { type Pack, pack } from "tar-stream";
import { syncDir } from "../base/durable-file.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import {
  type Architecture,
  type ArtifactEntry,
  hostPrograms,
  hostRevision,
  inOrder,
  isNeeded,
  launcher,
  runtimePackage,
} from "./artifact-entries.ts";
import { type BuildRecord, contentsOf, recordFile } from "./build-record.ts";
import { filesBelow } from "./files-below.ts";
import { digestOfBuild } from "./own-build.ts";

export type ArtifactRequest = {
  /** haplan's own package: `dist/cmd` and `artifact` are in it. */
  readonly packageDirectory: string;
  readonly version: string;
  readonly architecture: Architecture;
  /** Where the archive goes. A file that is there is replaced once the new one is whole. */
  readonly out: string;
  readonly signal: AbortSignal;
};

export type Artifact = {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the archive before compression, in hexadecimal: it depends on what is in it alone. */
  readonly digest: string;
};

/** @throws HaplanError `artifact/packages` when npm cannot fetch or does not accept them, `artifact/out` when it cannot be written */
export async function buildArtifact(request: ArtifactRequest): Promise<Artifact> {
  const directory = await mkdtemp(join(tmpdir(), "haplan-artifact-"));
  try {
    await fetchPackages(directory, request);
    return await write(inOrder(await collect(directory, request)), request);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Scripts of packages are not run: native libraries come built. */
async function fetchPackages(directory: string, request: ArtifactRequest): Promise<void> {
  const { packageDirectory, architecture, signal } = request;
  for (const file of ["package.json", "package-lock.json"])
    await copyFile(join(packageDirectory, "artifact", file), join(directory, file));
  const target = ["--os=linux", `--cpu=${architecture}`, "--libc=glibc"];
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  try {
    await execa("npm", ["ci", ...target, ...quiet], { cwd: directory, stdin: "ignore", cancelSignal: signal });
  } catch (error) {
    throw new HaplanError("artifact/packages", whyNoPackages(error), { cause: error });
  }
}

function whyNoPackages(error: unknown): string {
  if (!(error instanceof ExecaError)) return errorText(error);
  if (error.code === "ENOENT")
    return "npm is not on the PATH: it fetches the runtime and the packages with native code";
  if (error.isCanceled) return "Stopped while npm fetched the runtime";
  return `npm could not fetch the runtime and the packages with native code:\n${String(error.stderr)}`;
}

async function collect(directory: string, request: ArtifactRequest): Promise<ArtifactEntry[]> {
  const { packageDirectory, version, architecture } = request;
  const modules = join(directory, "node_modules");
  const programs = join(packageDirectory, "dist/cmd");
  const runtime = join(modules, runtimePackage(architecture), "bin/node");
  const packages = (await filesBelow(modules)).filter(isNeeded);
  const chunks = (await filesBelow(programs)).filter(
    (path) => hostPrograms.includes(topOf(path)) || topOf(path) === "chunks",
  );
  const templates = (await filesBelow(join(packageDirectory, "templates"))).filter((path) =>
    path.startsWith("systemd/"),
  );
  const plain = (path: string, file: string): ArtifactEntry => ({ path, mode: 0o644, content: { file } });
  const files: readonly ArtifactEntry[] = [
    { path: "bin/node", mode: 0o755, content: { file: runtime } },
    ...hostPrograms.map(
      (name): ArtifactEntry => ({ path: `bin/${name}`, mode: 0o755, content: { text: launcher(name) } }),
    ),
    ...templates.map((path) => plain(`templates/${path}`, join(packageDirectory, "templates", path))),
    ...chunks.map((path) => plain(`cmd/${path}`, join(programs, path))),
    ...packages.map((path) => plain(`node_modules/${path}`, join(modules, path))),
  ];
  const build: BuildRecord = { digest: await digestOfBuild(packageDirectory), contents: await contentsOf(files) };
  const about = { name: "haplan-artifact", version, type: "module", architecture, hostRevision, build };
  return [...files, { path: recordFile, mode: 0o644, content: { text: `${JSON.stringify(about, null, 2)}\n` } }];
}

const topOf = (path: string): string => path.split("/")[0]!;

async function write(entries: readonly ArtifactEntry[], request: ArtifactRequest): Promise<Artifact> {
  const path = resolve(request.out);
  // Two runs may build the same one at the same time.
  const part = `${path}.${process.pid}.part`;
  const hash = createHash("sha256");
  const digested = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const archive = pack();
  const written = pipeline(archive, digested, createGzip(), createWriteStream(part), {
    signal: request.signal,
  });
  try {
    await Promise.all([addAll(archive, entries, nameOf(request)), written]);
    const file = await open(part, "r+");
    await file.sync().finally(() => file.close());
    await rename(part, path);
    syncDir(dirname(path));
  } catch (error) {
    await rm(part, { force: true });
    throw new HaplanError("artifact/out", `Cannot write ${path}: ${errorText(error)}`, { cause: error });
  }
  return { path, bytes: (await stat(path)).size, digest: hash.digest("hex") };
}

/** The directory that the archive unpacks to. */
function nameOf({ version, architecture }: Pick<ArtifactRequest, "version" | "architecture">): string {
  return `haplan-${version}-linux-${architecture}`;
}

export function artifactFileName(version: string, architecture: Architecture): string {
  return `${nameOf({ version, architecture })}.tar.gz`;
}

async function addAll(archive: Pack, entries: readonly ArtifactEntry[], top: string): Promise<void> {
  try {
    for (const entry of entries) await add(archive, entry, top);
    archive.finalize();
  } catch (error) {
    // The pipeline would wait for more.
    archive.destroy(error as Error);
    throw error;
  }
}

/** Neither times nor owners of the machine that builds are in it. */
async function add(archive: Pack, { path, mode, content }: ArtifactEntry, top: string): Promise<void> {
  const header = { name: `${top}/${path}`, mode, mtime: new Date(0), uid: 0, gid: 0 };
  if ("text" in content) {
    archive.entry(header, content.text);
    return;
  }
  const { size } = await stat(content.file);
  await pipeline(createReadStream(content.file), archive.entry({ ...header, size }));
}
