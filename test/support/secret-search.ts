/** Looks for private keys, passphrases and passwords where others could read them: process lists and files. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Lines of the private keys in a PKI directory, without their common beginning: each identifies its key. */
export function keyLines(pkiDir: string): readonly string[] {
  return readdirSync(pkiDir)
    .filter((file) => file.endsWith(".key"))
    .map((file) => readFileSync(join(pkiDir, file), "utf8").split("\n")[2] ?? "")
    .filter((line) => line.length > 30);
}

/** Collects the command line of every process that any user could see, until it is stopped. */
export class ProcessListSampler {
  readonly seen: Set<string> = new Set();
  samples: number = 0;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor() {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.samples += 1;
      for (const pid of readdirSync("/proc")) if (/^\d+$/.test(pid)) this.seen.add(commandLine(pid));
      await sleep(5);
    }
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // It has exited.
  }
}

export type SecretFile = { readonly path: string; readonly readableByOthers: boolean };

/** Files below `directory` that contain one of the secrets, or any private key in PEM. */
export function filesWithSecrets(directory: string, secrets: readonly string[]): readonly SecretFile[] {
  const found: SecretFile[] = [];
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const text = readFileSync(path, "latin1");
    if (!text.includes("PRIVATE KEY-----") && !secrets.some((secret) => text.includes(secret))) continue;
    found.push({ path: relative(directory, path), readableByOthers: (statSync(path).mode & 0o077) !== 0 });
  }
  return found.sort((a, b) => a.path.localeCompare(b.path));
}
