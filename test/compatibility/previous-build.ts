/**
 * The agent of the previous release, built from its commit: what a rolling upgrade starts from. A clone without the
 * commit, or without git, gets the reason instead, for tests to skip with.
 *
 * The build is kept with this clone's dependencies, which it shares: a build that outlived them would not start.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorText } from "../../src/base/haplan-error.ts";
import type { Built } from "./go-build.ts";

/** Moves on with each release. */
export const previousCommit = "23e7a15d276e089fc88206e04e504e05fea3a12a";

const root = fileURLToPath(new URL("../..", import.meta.url));
const kept = join(root, "node_modules/.cache/haplan");

/** The main file of the previous agent. The dependencies are those of this build. */
export function previousAgent(): Built {
  const directory = join(kept, `agent-${previousCommit.slice(0, 12)}`);
  const path = join(directory, "dist/cmd/haplan-agent/main.js");
  if (existsSync(path)) return { path };
  mkdirSync(kept, { recursive: true });
  const scratch = mkdtempSync(join(kept, "building-"));
  try {
    const archive = execFileSync("git", ["archive", previousCommit], { cwd: root, maxBuffer: 1 << 28, stdio: "pipe" });
    execFileSync("tar", ["-x"], { cwd: scratch, input: archive });
    symlinkSync("../../..", join(scratch, "node_modules"));
    execFileSync(process.execPath, ["scripts/build.mjs"], { cwd: scratch, stdio: "pipe" });
    renameSync(scratch, directory);
    return { path };
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    return { missing: `the previous agent cannot be built: ${errorText(error).split("\n")[0]}` };
  }
}
