/** A worker process: runs the seeds that it is sent, one after the other, and sends back what came of them. */
import { plantedBugs } from "./planted-bugs.ts";
import { type RunResult, runSeed } from "./simulation.ts";

export type SeedTask = { readonly seed: number; readonly bug: string | null };
export type SeedAnswer = { readonly task: SeedTask; readonly result: RunResult };

/** A seed as it is, or with a planted bug. */
export function runTask({ seed, bug }: SeedTask): Promise<RunResult> {
  const planted = bug === null ? undefined : plantedBugs[bug];
  if (bug !== null && planted === undefined) throw new Error(`there is no planted bug "${bug}"`);
  return runSeed({ seed, ...(planted && { plants: planted.plants, bias: planted.bias }) });
}

/** Only in a process that was forked to be a worker. */
export function serveSeeds(): void {
  process.on("message", (task: SeedTask) => {
    runTask(task).then((result) => process.send?.({ task, result } satisfies SeedAnswer));
  });
  process.on("disconnect", () => process.exit());
}
