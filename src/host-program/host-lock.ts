/**
 * The lock of a cluster on its host: flock(2) on a file that this process has open, so that it ends with the process, however that
 * ends. The file says which run holds it, and is removed with the lock.
 */
import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { HaplanError } from "../base/haplan-error.ts";
import { parseJson } from "../base/json-text.ts";
import type { ChangingRun } from "../host/changing-run.ts";

/** What a shell's `flock -n` ends with where another process has the lock. */
const heldCode = 1;
const tries = 10;
const ownAgainMs = 500;

const unknownRun: ChangingRun = {
  id: "",
  user: "unknown",
  host: "unknown",
  pid: 0,
  operation: "unknown",
  createdAt: 0,
};

export type HostLockOptions = {
  readonly file: string;
  readonly leaseMs: number;
  /** Called when the run has not asked for the lock again in time. */
  readonly onSilence: () => void;
};

export class HostLock {
  readonly #options: HostLockOptions;
  #descriptor: number | null = null;
  #silence: NodeJS.Timeout | null = null;
  #again: NodeJS.Timeout | null = null;

  constructor(options: HostLockOptions) {
    this.#options = options;
  }

  /**
   * Takes the lock for a run, or keeps it. Null if the run has it, else the run that does. A run whose connection was lost may have
   * an earlier process here that finishes its calls: it has the lock already, and this process gets it from that one.
   */
  take(run: ChangingRun): ChangingRun | null {
    const holder = this.#descriptor === null ? this.#try(run) : null;
    if (holder !== null && holder.id !== run.id) return holder;
    if (holder !== null) this.#again ??= setInterval(() => this.#takeAgain(run), ownAgainMs).unref();
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = setTimeout(this.#options.onSilence, this.#options.leaseMs).unref();
    return null;
  }

  release(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    if (this.#again !== null) clearInterval(this.#again);
    if (this.#descriptor === null) return;
    rmSync(this.#options.file, { force: true });
    closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  #takeAgain(run: ChangingRun): void {
    if (this.#descriptor === null) this.#try(run);
    if (this.#descriptor !== null && this.#again !== null) clearInterval(this.#again);
  }

  #try(run: ChangingRun): ChangingRun | null {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const descriptor = openSync(this.#options.file, "a+", 0o600);
      const isTaken = lockOpenFile(descriptor, this.#options.file);
      // The process that had it may have removed the file meanwhile.
      if (isTaken && fstatSync(descriptor).ino === statSync(this.#options.file, { throwIfNoEntry: false })?.ino) {
        ftruncateSync(descriptor);
        writeSync(descriptor, JSON.stringify(run));
        this.#descriptor = descriptor;
        return null;
      }
      closeSync(descriptor);
      if (!isTaken) return readHolder(this.#options.file);
    }
    return unknownRun;
  }
}

/** The lock belongs to the open file: it outlives the program that takes it. */
function lockOpenFile(descriptor: number, file: string): boolean {
  const { status, stderr, error } = spawnSync("flock", ["-n", "3"], {
    stdio: ["ignore", "ignore", "pipe", descriptor],
  });
  if (status === 0) return true;
  if (status === heldCode && String(stderr) === "") return false;
  throw new HaplanError("host/locked", `Cannot lock "${file}": ${error?.message ?? String(stderr).trim()}`);
}

/** It may be about to be written. */
function readHolder(file: string): ChangingRun {
  try {
    return parseJson(readFileSync(file, "utf8")) as ChangingRun;
  } catch {
    return unknownRun;
  }
}
