/**
 * bcrypt in a worker thread: one hash takes almost a tenth of a second, which would block the event loop. The worker
 * starts with the first password and ends after a period of inactivity.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { FairQueue } from "./fair-queue.ts";
import { VerifiedPasswords } from "./verified-passwords.ts";

/** Passwords that wait for the worker; more are rejected, since each would wait longer than its caller does. */
const waitingMax = 256;
const idleMs = 30_000;
/** Connections whose last password was wrong; beyond this the oldest are dropped. */
const failedMax = 10_000;

/** bcrypt's own limits of the cost. */
export const bcryptCostMin = 4;
export const bcryptCostMax = 31;

type Job =
  | { readonly kind: "hash"; readonly password: string; readonly cost: number }
  | { readonly kind: "compare"; readonly password: string; readonly hash: string };
type Answer = { readonly value: string | boolean } | { readonly error: string };
type Waiter = {
  readonly job: Job;
  readonly caller: PasswordCaller;
  resolve(value: string | boolean): void;
  reject(error: Error): void;
};

/** The caller for which a password is hashed or checked: callers with many passwords wait for their own. */
export type PasswordCaller = {
  readonly user: string;
  /** `HOST:PORT`. */
  readonly remoteAddress: string;
  /** False once the caller has disconnected. */
  readonly open: boolean;
};

/** Plain text rather than a file: it runs the same from the sources and from a build. */
const workerText = `
const { parentPort, workerData } = require("node:worker_threads");
const bcrypt = require(workerData);
parentPort.on("message", (job) => {
  try {
    const value = job.kind === "hash" ? bcrypt.hashSync(job.password, job.cost) : bcrypt.compareSync(job.password, job.hash);
    parentPort.postMessage({ value });
  } catch (error) {
    parentPort.postMessage({ error: String(error) });
  }
});`;

/** A password cannot be hashed now: too many wait, the caller has disconnected, or the member is stopping. */
export class PasswordHasherBusyError extends Error {
  override readonly name = "PasswordHasherBusyError";
}

export class PasswordHasher {
  readonly #waiting = new FairQueue<Waiter>(waitingMax);
  readonly #verified = new VerifiedPasswords();
  readonly #failed = new Set<string>();
  /** The job of the worker. */
  #current: Waiter | null = null;
  #worker: Worker | null = null;
  #idleTimer: NodeJS.Timeout | undefined = undefined;
  #stopped = false;

  /** The hash in bcrypt's own form, `$2b$10$...`. @throws PasswordHasherBusyError */
  async hash(password: string, cost: number, caller: PasswordCaller): Promise<string> {
    const hash = String(await this.#run({ kind: "hash", password, cost }, caller));
    this.#verified.remember(hash, password);
    return hash;
  }

  /** Also false for an invalid hash. @throws PasswordHasherBusyError */
  async matches(password: string, hash: string, caller: PasswordCaller): Promise<boolean> {
    if (this.#verified.has(hash, password)) return true;
    return (await this.#run({ kind: "compare", password, hash }, caller)) === true;
  }

  stop(): void {
    this.#stopped = true;
    this.#endWorker(new PasswordHasherBusyError("the member is stopping"));
  }

  #run(job: Job, caller: PasswordCaller): Promise<string | boolean> {
    if (this.#stopped) return Promise.reject(new PasswordHasherBusyError("the member is stopping"));
    clearTimeout(this.#idleTimer);
    return new Promise((resolve, reject) => {
      const dropped = this.#waiting.push(this.#shares(caller), { job, caller, resolve, reject });
      dropped?.reject(new PasswordHasherBusyError("too many passwords wait to be checked"));
      if (this.#current === null) this.#next();
    });
  }

  /** Connections whose last password was wrong share one queue, then users, then a user's hosts. */
  #shares({ user, remoteAddress }: PasswordCaller): string[] {
    const host = remoteAddress.slice(0, remoteAddress.lastIndexOf(":"));
    return [this.#failed.has(remoteAddress) ? "failed" : "other", user, host, remoteAddress];
  }

  /** The worker gets one job at a time, so that the order is decided as late as possible. */
  #next(): void {
    this.#current = this.#nextWaiter();
    if (this.#current === null) {
      this.#idleTimer = setTimeout(() => this.#endWorker(new Error("nothing to do")), idleMs);
      this.#idleTimer.unref();
      return;
    }
    this.#worker ??= this.#startWorker();
    this.#worker.postMessage(this.#current.job);
  }

  /** The next waiter that needs the worker. */
  #nextWaiter(): Waiter | null {
    for (let waiter = this.#waiting.shift(); waiter !== undefined; waiter = this.#waiting.shift()) {
      const { job, caller } = waiter;
      if (!caller.open) waiter.reject(new PasswordHasherBusyError("the caller has disconnected"));
      // The same password was verified while this one waited.
      else if (job.kind === "compare" && this.#verified.has(job.hash, job.password)) waiter.resolve(true);
      else return waiter;
    }
    return null;
  }

  #startWorker(): Worker {
    const library = createRequire(import.meta.url).resolve("bcryptjs");
    const worker = new Worker(workerText, { eval: true, workerData: library });
    // The worker alone does not keep the process alive; a pending caller does.
    worker.unref();
    worker.on("message", (answer: Answer) => this.#answered(answer));
    worker.on("error", (error) => this.#endWorker(error));
    return worker;
  }

  #answered(answer: Answer): void {
    const waiter = this.#current;
    if (waiter !== null && "value" in answer) this.#note(waiter, answer.value);
    this.#next();
    if ("error" in answer) waiter?.reject(new Error(answer.error));
    else waiter?.resolve(answer.value);
  }

  #note({ job, caller }: Waiter, value: string | boolean): void {
    this.#failed.delete(caller.remoteAddress);
    if (job.kind === "hash") return;
    if (value === true) {
      this.#verified.remember(job.hash, job.password);
      return;
    }
    this.#failed.add(caller.remoteAddress);
    const [oldest = ""] = this.#failed;
    if (this.#failed.size > failedMax) this.#failed.delete(oldest);
  }

  #endWorker(reason: Error): void {
    clearTimeout(this.#idleTimer);
    const [worker, current] = [this.#worker, this.#current];
    this.#worker = null;
    this.#current = null;
    current?.reject(reason);
    for (const waiter of this.#waiting.takeAll()) waiter.reject(reason);
    void worker?.terminate();
  }
}
