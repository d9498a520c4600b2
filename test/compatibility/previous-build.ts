/**
 * The agent of the previous release, built from its commit: what a rolling upgrade meets. The build is cached. A clone
 * without the commit, or without git, gets the reason instead, for tests to skip with.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorText } from "../../src/base/haplan-error.ts";
import { type Built, cacheDirectory } from "./go-build.ts";

/** Moves on with each release. */
export const previousCommit = "23e7a15d276e089fc88206e04e504e05fea3a12a";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The main file of the previous agent. The dependencies are those of this build. */
export function previousAgent(): Built {
  const directory = join(cacheDirectory, `agent-${previousCommit.slice(0, 12)}`);
  const path = join(directory, "dist/cmd/haplan-agent/main.js");
  if (existsSync(path)) return { path };
  mkdirSync(cacheDirectory, { recursive: true });
  const scratch = mkdtempSync(join(cacheDirectory, "building-"));
  try {
    const archive = execFileSync("git", ["archive", previousCommit], { cwd: root, maxBuffer: 1 << 28, stdio: "pipe" });
    execFileSync("tar", ["-x"], { cwd: scratch, input: archive });
    symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"));
    execFileSync(process.execPath, ["scripts/build.mjs"], { cwd: scratch, stdio: "pipe" });
    renameSync(scratch, directory);
    return { path };
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    return { missing: `the previous agent cannot be built: ${errorText(error).split("\n")[0]}` };
  }
}
