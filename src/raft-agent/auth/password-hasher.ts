/**
 * bcrypt in a worker: one hash costs the better part of a tenth of a second, which the event loop cannot spare. The
 * worker starts with the first password and ends when there has been nothing to do for a while.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";

/** Passwords that wait for the worker; more are refused, since each would wait for longer than its caller does. */
const WAITING_MAX = 256;
const IDLE_MS = 30_000;

/** bcrypt's own bounds for the cost. */
export const BCRYPT_COST_MIN = 4;
export const BCRYPT_COST_MAX = 31;

type Job =
  | { readonly kind: "hash"; readonly password: string; readonly cost: number }
  | { readonly kind: "compare"; readonly password: string; readonly hash: string };
type Answer = { readonly value: string | boolean } | { readonly error: string };
type Waiter = { resolve(value: string | boolean): void; reject(error: Error): void };

/** Plain text rather than a file: it runs the same from the sources and from a build. */
const WORKER_TEXT = `
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

/** What cannot be hashed now: too many wait, or the member stops. */
export class PasswordHasherBusyError extends Error {
  override readonly name = "PasswordHasherBusyError";
}

export class PasswordHasher {
  readonly #waiting: Waiter[] = [];
  #worker: Worker | null = null;
  #idleTimer: NodeJS.Timeout | undefined = undefined;
  #stopped = false;

  /** The hash in bcrypt's own form, `$2b$10$...`. @throws PasswordHasherBusyError */
  async hash(password: string, cost: number): Promise<string> {
    return String(await this.#run({ kind: "hash", password, cost }));
  }

  /** False as well for a hash that is none. @throws PasswordHasherBusyError */
  async matches(password: string, hash: string): Promise<boolean> {
    return (await this.#run({ kind: "compare", password, hash })) === true;
  }

  stop(): void {
    this.#stopped = true;
    this.#endWorker(new PasswordHasherBusyError("the member stops"));
  }

  #run(job: Job): Promise<string | boolean> {
    if (this.#stopped || this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(new PasswordHasherBusyError("too many passwords wait to be checked"));
    }
    clearTimeout(this.#idleTimer);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker ??= this.#startWorker();
      this.#worker.postMessage(job);
    });
  }

  #startWorker(): Worker {
    const library = createRequire(import.meta.url).resolve("bcryptjs");
    const worker = new Worker(WORKER_TEXT, { eval: true, workerData: library });
    // The worker alone keeps no process alive; who waits for an answer does.
    worker.unref();
    worker.on("message", (answer: Answer) => this.#answered(answer));
    worker.on("error", (error) => this.#endWorker(error));
    return worker;
  }

  /** Answers come in the order of the jobs. */
  #answered(answer: Answer): void {
    const waiter = this.#waiting.shift();
    if ("error" in answer) waiter?.reject(new Error(answer.error));
    else waiter?.resolve(answer.value);
    if (this.#waiting.length > 0) return;
    this.#idleTimer = setTimeout(() => this.#endWorker(new Error("nothing to do")), IDLE_MS);
    this.#idleTimer.unref();
  }

  #endWorker(reason: Error): void {
    clearTimeout(this.#idleTimer);
    const worker = this.#worker;
    this.#worker = null;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(reason);
    void worker?.terminate();
  }
}
