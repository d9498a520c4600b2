/**
 * bcrypt in a worker: one hash costs the better part of a tenth of a second, which the event loop cannot spare. The
 * worker starts with the first password and ends when there has been nothing to do for a while.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { FairQueue } from "./fair-queue.ts";
import { VerifiedPasswords } from "./verified-passwords.ts";

/** Passwords that wait for the worker; more are refused, since each would wait for longer than its caller does. */
const waitingMax = 256;
const idleMs = 30_000;
/** Connections whose last password was wrong: more are forgotten, the oldest first. */
const failedMax = 10_000;

/** bcrypt's own bounds for the cost. */
export const bcryptCostMin = 4;
export const bcryptCostMax = 31;

type Job =
  | { readonly kind: "hash"; readonly password: string; readonly cost: number }
  | { readonly kind: "compare"; readonly password: string; readonly hash: string };
type Answer = { readonly value: string | boolean } | { readonly error: string };
type Waiter = {
  readonly job: Job;
  readonly asker: PasswordAsker;
  resolve(value: string | boolean): void;
  reject(error: Error): void;
};

/** For whom a password is hashed or checked: those who ask for much wait for each other. */
export type PasswordAsker = {
  readonly user: string;
  /** `HOST:PORT`. */
  readonly remoteAddress: string;
  /** False once the caller has gone. */
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

/** What cannot be hashed now: too many wait, the caller has gone, or the member stops. */
export class PasswordHasherBusyError extends Error {
  override readonly name = "PasswordHasherBusyError";
}

export class PasswordHasher {
  readonly #waiting = new FairQueue<Waiter>(waitingMax);
  readonly #verified = new VerifiedPasswords();
  readonly #failed = new Set<string>();
  /** What the worker is at. */
  #current: Waiter | null = null;
  #worker: Worker | null = null;
  #idleTimer: NodeJS.Timeout | undefined = undefined;
  #stopped = false;

  /** The hash in bcrypt's own form, `$2b$10$...`. @throws PasswordHasherBusyError */
  async hash(password: string, cost: number, asker: PasswordAsker): Promise<string> {
    const hash = String(await this.#run({ kind: "hash", password, cost }, asker));
    this.#verified.remember(hash, password);
    return hash;
  }

  /** False as well for a hash that is none. @throws PasswordHasherBusyError */
  async matches(password: string, hash: string, asker: PasswordAsker): Promise<boolean> {
    if (this.#verified.has(hash, password)) return true;
    return (await this.#run({ kind: "compare", password, hash }, asker)) === true;
  }

  stop(): void {
    this.#stopped = true;
    this.#endWorker(new PasswordHasherBusyError("the member stops"));
  }

  #run(job: Job, asker: PasswordAsker): Promise<string | boolean> {
    if (this.#stopped) return Promise.reject(new PasswordHasherBusyError("the member stops"));
    clearTimeout(this.#idleTimer);
    return new Promise((resolve, reject) => {
      const dropped = this.#waiting.push(this.#shares(asker), { job, asker, resolve, reject });
      dropped?.reject(new PasswordHasherBusyError("too many passwords wait to be checked"));
      if (this.#current === null) this.#next();
    });
  }

  /** Connections whose last password was wrong wait for each other, then users, then a user's hosts. */
  #shares({ user, remoteAddress }: PasswordAsker): string[] {
    const host = remoteAddress.slice(0, remoteAddress.lastIndexOf(":"));
    return [this.#failed.has(remoteAddress) ? "failed" : "other", user, host, remoteAddress];
  }

  /** One job at a time goes to the worker, so that turns are taken until the last moment. */
  #next(): void {
    this.#current = this.#takeTurn();
    if (this.#current === null) {
      this.#idleTimer = setTimeout(() => this.#endWorker(new Error("nothing to do")), idleMs);
      this.#idleTimer.unref();
      return;
    }
    this.#worker ??= this.#startWorker();
    this.#worker.postMessage(this.#current.job);
  }

  /** The next one that needs the worker. */
  #takeTurn(): Waiter | null {
    for (let waiter = this.#waiting.shift(); waiter !== undefined; waiter = this.#waiting.shift()) {
      const { job, asker } = waiter;
      if (!asker.open) waiter.reject(new PasswordHasherBusyError("the caller has gone"));
      // The same password was found right while this one waited.
      else if (job.kind === "compare" && this.#verified.has(job.hash, job.password)) waiter.resolve(true);
      else return waiter;
    }
    return null;
  }

  #startWorker(): Worker {
    const library = createRequire(import.meta.url).resolve("bcryptjs");
    const worker = new Worker(workerText, { eval: true, workerData: library });
    // The worker alone keeps no process alive; who waits for an answer does.
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

  #note({ job, asker }: Waiter, value: string | boolean): void {
    this.#failed.delete(asker.remoteAddress);
    if (job.kind === "hash") return;
    if (value === true) {
      this.#verified.remember(job.hash, job.password);
      return;
    }
    this.#failed.add(asker.remoteAddress);
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
