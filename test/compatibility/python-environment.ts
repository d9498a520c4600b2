/** An environment of Python packages for a fixture: made once, and kept for later runs. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "./go-build.ts";

export type PythonEnvironment = { readonly directory: string };

const installMs = 300_000;
const versionMs = 60_000;

/**
 * The environment with the packages of the file `requirements`, or the reason why there is none; they are installed if they
 * are missing and `install` is true.
 */
export async function findPythonEnvironment(
  requirements: string,
  install: boolean,
): Promise<PythonEnvironment | { readonly missing: string }> {
  const version = await runFile("python3", ["--version"], versionMs);
  if ("failed" in version) return { missing: "Python 3 is not installed" };
  const digest = createHash("sha256").update(version.output).update(readFileSync(requirements)).digest("hex");
  const directory = join(cacheDirectory, `python-${digest.slice(0, 24)}`);
  if (existsSync(directory)) return { directory };
  if (!install) return { missing: `the packages of ${requirements} are not installed (npm run build:clients)` };
  const made = await makeEnvironment(directory, requirements);
  return made === null ? { directory } : { missing: made };
}

/** Null once it exists, otherwise the reason. */
async function makeEnvironment(path: string, requirements: string): Promise<string | null> {
  await mkdir(cacheDirectory, { recursive: true });
  const scratch = await mkdtemp(join(cacheDirectory, "making-"));
  const pip = [join(scratch, "bin/python"), "-m", "pip", "install", "--quiet", "--requirement", requirements];
  for (const [file, ...words] of [["python3", "-m", "venv", scratch], pip]) {
    const made = await runFile(file!, words, installMs);
    if ("failed" in made) {
      await rm(scratch, { recursive: true, force: true });
      return made.failed;
    }
  }
  // Another test may have been faster.
  await rename(scratch, path).catch(() => rm(scratch, { recursive: true, force: true }));
  return null;
}

export type Outcome = { readonly output: string } | { readonly failed: string };

/** Runs a program to its end. */
export function runFile(file: string, words: readonly string[], timeout: number): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(file, words, { timeout, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      const lastLines = stderr.trim().split("\n").slice(-3).join("; ");
      if (error === null) resolve({ output: stdout });
      else resolve({ failed: `"${file} ${words.join(" ")}" failed: ${lastLines || error.message}` });
    });
  });
}
