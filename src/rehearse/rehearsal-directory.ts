/**
 * The directory of a rehearsal, and what ends everything in it. A process that watches over it (`startWarden`) ends the copies'
 * processes and removes the directory when the rehearsal has ended, also by SIGKILL; the next rehearsal does it where that
 * process was killed as well.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFileDurably } from "../base/durable-file.ts";
import { identifyProcess, isSameProcess, type ProcessIdentity } from "../providers/local/process-table.ts";
import { endProcesses } from "./copy-processes.ts";

const prefix = "haplan-rehearsal-";
const ownerFile = "owner.json";

/** Creates it, and records this process as its owner. */
export function makeRehearsalDir(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), prefix)));
  writeFileDurably(join(directory, ownerFile), `${JSON.stringify(identifyProcess(process.pid))}\n`);
  return directory;
}

/** Ends everything in it, and removes it. */
export async function removeRehearsalDir(directory: string): Promise<void> {
  await endProcesses(directory);
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** Removes what killed rehearsals of this user have left. @returns how many there were */
export async function removeLeftovers(): Promise<number> {
  const top = realpathSync(tmpdir());
  const left = readdirSync(top)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(top, name))
    .filter((directory) => isAbandoned(directory));
  for (const directory of left) await removeRehearsalDir(directory);
  return left.length;
}

function isAbandoned(directory: string): boolean {
  try {
    if (statSync(directory).uid !== process.getuid?.()) return false;
    const owner = JSON.parse(readFileSync(join(directory, ownerFile), "utf8")) as ProcessIdentity;
    return !isSameProcess(owner);
  } catch {
    // Being created, or being removed.
    return false;
  }
}

/** Starts the process that removes the directory once this one has ended. @returns a function that tells it to do so now */
export function startWarden(program: string, directory: string): () => Promise<void> {
  const warden = spawn(process.execPath, [program, "warden", directory], {
    // Ctrl-C is for the rehearsal, not for its warden.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  warden.unref();
  const ended = new Promise<void>((resolve) => {
    warden.once("exit", () => resolve());
    warden.once("error", () => resolve());
  });
  return async () => {
    warden.ref();
    warden.stdin.end();
    await ended;
  };
}

/** The warden's program: waits for the end of its standard input, which is the end of the rehearsal. */
export async function guardRehearsal(directory: string): Promise<void> {
  process.stdin.resume();
  await new Promise<void>((resolve) => {
    process.stdin.once("end", resolve);
    process.stdin.once("error", () => resolve());
  });
  await removeRehearsalDir(directory);
}
