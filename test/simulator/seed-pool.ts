/** Distributes seeds over worker processes, one per processor. */
import { type ChildProcess, fork } from "node:child_process";
import type { SeedAnswer, SeedTask } from "./seed-worker.ts";

/**
 * Calls `next` for a task whenever a worker is free, until it returns null, and `done` with each result. `workerPath`
 * is a module that serves seeds when it is run with the argument `--worker`.
 */
export function runTasks(
  workerPath: string,
  workers: number,
  next: () => SeedTask | null,
  done: (answer: SeedAnswer) => void,
): Promise<void> {
  const running = Array.from({ length: workers }, () => runWorker(fork(workerPath, ["--worker"]), next, done));
  return Promise.all(running).then(() => {});
}

function runWorker(
  child: ChildProcess,
  next: () => SeedTask | null,
  done: (answer: SeedAnswer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let last: SeedTask | null = null;
    const sendNext = (): void => {
      last = next();
      if (last === null) child.disconnect();
      else child.send(last);
    };
    child.on("message", (answer: SeedAnswer) => {
      done(answer);
      sendNext();
    });
    child.once("exit", (code) => {
      if (last === null) resolve();
      else reject(new Error(`the worker of seed ${last.seed} ended with code ${code}`));
    });
    sendNext();
  });
}
