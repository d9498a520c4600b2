/**
 * Builds Go programs of this directory once: the result is cached by a digest of the module's files and the Go
 * version. On a machine without Go, or without access to the modules, the reason is returned instead, for tests to
 * skip with.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";

export type Built = { readonly path: string } | { readonly missing: string };

export type GoBuild = {
  /** Where go.mod is. */
  readonly module: string;
  /** A package of the module, or one that the module requires. */
  readonly packagePath: string;
  readonly program: string;
};

const buildMs = 600_000;
/** Where third-party programs are kept once they are built. */
export const cacheDirectory: string = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "haplan-compatibility",
);

/**
 * The cached program; builds it if it is missing and `build` is true. A build takes a minute on an empty Go cache, so
 * the default tests use what is there and the long ones build.
 */
export async function goProgram(what: GoBuild, build: boolean): Promise<Built> {
  const go = findGo();
  if (go === null) return { missing: "Go is not installed" };
  const version = await run(go, ["env", "GOVERSION"], what.module);
  if ("missing" in version) return version;
  const path = join(cacheDirectory, digestOf(what, version.output), what.program);
  if (existsSync(path)) return { path };
  if (!build) return { missing: `${what.program} is not built yet (npm run build:clients builds it)` };
  return buildInto(go, what, path);
}

/**
 * Tests that run at the same time may build the same program: each builds its own, and the first one to finish stays.
 */
async function buildInto(go: string, { module, packagePath }: GoBuild, path: string): Promise<Built> {
  await mkdir(dirname(path), { recursive: true });
  const scratch = mkdtempSync(join(dirname(path), "building-"));
  const made = join(scratch, "program");
  const built = await run(go, ["build", "-mod=readonly", "-o", made, packagePath], module);
  if ("output" in built) renameSync(made, path);
  rmSync(scratch, { recursive: true, force: true });
  return "output" in built ? { path } : built;
}

function digestOf({ module, packagePath, program }: GoBuild, goVersion: string): string {
  const digest = createHash("sha256").update(`${goVersion}\n${packagePath}\n${program}\n`);
  for (const file of readdirSync(module).sort()) {
    if (/\.(go|mod|sum)$/.test(file)) digest.update(`${file}\n`).update(readFileSync(join(module, file)));
  }
  return digest.digest("hex").slice(0, 24);
}

function findGo(): string | null {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/go/bin", "/usr/lib/go/bin"];
  return directories.map((directory) => join(directory, "go")).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

type Outcome = { readonly output: string } | { readonly missing: string };

function run(go: string, arguments_: readonly string[], cwd: string): Promise<Outcome> {
  const env = { ...process.env, CGO_ENABLED: "0" };
  return new Promise((resolve) => {
    execFile(go, arguments_, { cwd, env, timeout: buildMs, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      const lastLines = stderr.trim().split("\n").slice(-3).join("; ");
      if (error === null) resolve({ output: stdout.trim() });
      else resolve({ missing: `"go ${arguments_.join(" ")}" failed: ${lastLines || error.message}` });
    });
  });
}
