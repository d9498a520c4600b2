/** A Python client of etcd as a fixture: `python/client.py` in an environment of its own, which is made once. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JsonValue } from "@bufbuild/protobuf";
import { cacheDirectory } from "./go-build.ts";

export type PythonClient = {
  /** What the program saw at the member of this URL. @throws when it fails. */
  run(url: string, user?: { readonly name: string; readonly password: string }): Promise<JsonValue>;
};

const requirements = fileURLToPath(new URL("python/requirements.txt", import.meta.url));
const program = fileURLToPath(new URL("python/client.py", import.meta.url));
const installMs = 300_000;
const runMs = 60_000;

/**
 * The client, or the reason why it is not available; its packages are installed if they are missing and `install` is
 * true.
 */
export async function findPythonClient(install: boolean): Promise<PythonClient | { readonly missing: string }> {
  const version = await run("python3", ["--version"], runMs);
  if ("failed" in version) return { missing: "Python 3 is not installed" };
  const digest = createHash("sha256").update(version.output).update(readFileSync(requirements)).digest("hex");
  const environment = join(cacheDirectory, `python-${digest.slice(0, 24)}`);
  if (!existsSync(environment)) {
    if (!install) return { missing: "the packages of the Python client are not installed (npm run build:clients)" };
    const made = await makeEnvironment(environment);
    if (made !== null) return { missing: made };
  }
  return {
    run: async (url, user) => {
      const { hostname, port } = new URL(url);
      const credentials = user === undefined ? [] : [user.name, user.password];
      const ran = await run(join(environment, "bin/python"), [program, hostname, port, ...credentials], runMs);
      if ("failed" in ran) throw new Error(ran.failed);
      return JSON.parse(ran.output) as JsonValue;
    },
  };
}

/** Null once it exists, otherwise the reason. */
async function makeEnvironment(path: string): Promise<string | null> {
  await mkdir(cacheDirectory, { recursive: true });
  const scratch = await mkdtemp(join(cacheDirectory, "making-"));
  const pip = [join(scratch, "bin/python"), "-m", "pip", "install", "--quiet", "--requirement", requirements];
  for (const [file, ...words] of [["python3", "-m", "venv", scratch], pip]) {
    const made = await run(file!, words, installMs);
    if ("failed" in made) {
      await rm(scratch, { recursive: true, force: true });
      return made.failed;
    }
  }
  // Another test may have been faster.
  await rename(scratch, path).catch(() => rm(scratch, { recursive: true, force: true }));
  return null;
}

type Outcome = { readonly output: string } | { readonly failed: string };

function run(file: string, words: readonly string[], timeout: number): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(file, words, { timeout, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      const lastLines = stderr.trim().split("\n").slice(-3).join("; ");
      if (error === null) resolve({ output: stdout });
      else resolve({ failed: `"${file} ${words.join(" ")}" failed: ${lastLines || error.message}` });
    });
  });
}
