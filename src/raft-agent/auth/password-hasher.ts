/**
 * bcrypt in a worker: one hash costs the better part of a tenth of a second, which the event loop cannot spare. The
 * worker starts with the first password and ends when there has been nothing to do for a while.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { FairQueue, type Share } from "./fair-queue.ts";

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
type Waiter = { readonly job: Job; resolve(value: string | boolean): void; reject(error: Error): void };

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
  readonly #waiting = new FairQueue<Waiter>(WAITING_MAX);
  /** What the worker is at. */
  #current: Waiter | null = null;
  #worker: Worker | null = null;
  #idleTimer: NodeJS.Timeout | undefined = undefined;
  #stopped = false;

  /** The hash in bcrypt's own form, `$2b$10$...`. @throws PasswordHasherBusyError */
  async hash(password: string, cost: number, share: Share): Promise<string> {
    return String(await this.#run({ kind: "hash", password, cost }, share));
  }

  /** False as well for a hash that is none. @throws PasswordHasherBusyError */
  async matches(password: string, hash: string, share: Share): Promise<boolean> {
    return (await this.#run({ kind: "compare", password, hash }, share)) === true;
  }

  stop(): void {
    this.#stopped = true;
    this.#endWorker(new PasswordHasherBusyError("the member stops"));
  }

  #run(job: Job, share: Share): Promise<string | boolean> {
    if (this.#stopped) return Promise.reject(new PasswordHasherBusyError("the member stops"));
    clearTimeout(this.#idleTimer);
    return new Promise((resolve, reject) => {
      const dropped = this.#waiting.push(share, { job, resolve, reject });
      dropped?.reject(new PasswordHasherBusyError("too many passwords wait to be checked"));
      if (this.#current === null) this.#next();
    });
  }

  /** One job at a time goes to the worker, so that turns are taken until the last moment. */
  #next(): void {
    this.#current = this.#waiting.shift() ?? null;
    if (this.#current === null) {
      this.#idleTimer = setTimeout(() => this.#endWorker(new Error("nothing to do")), IDLE_MS);
      this.#idleTimer.unref();
      return;
    }
    this.#worker ??= this.#startWorker();
    this.#worker.postMessage(this.#current.job);
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

  #answered(answer: Answer): void {
    const waiter = this.#current;
    this.#next();
    if ("error" in answer) waiter?.reject(new Error(answer.error));
    else waiter?.resolve(answer.value);
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
