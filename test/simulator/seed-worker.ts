/** A worker process: runs the seeds that it receives, one after the other, and returns the results. */
import { mutants } from "./mutants.ts";
import { type RunResult, runSeed } from "./simulation.ts";

export type SeedTask = { readonly seed: number; readonly mutant: string | null };
export type SeedAnswer = { readonly task: SeedTask; readonly result: RunResult };

/** Runs a seed unmodified, or as the named mutant. */
export function runTask({ seed, mutant }: SeedTask): Promise<RunResult> {
  const injected = mutant === null ? undefined : mutants[mutant];
  if (mutant !== null && injected === undefined) throw new Error(`there is no mutant "${mutant}"`);
  return runSeed({ seed, ...(injected && { mutations: injected.mutations, bias: injected.bias }) });
}

/** Only in a process that was forked to be a worker. */
export function serveSeeds(): void {
  process.on("message", (task: SeedTask) => {
    runTask(task).then((result) => process.send?.({ task, result } satisfies SeedAnswer));
  });
  process.on("disconnect", () => process.exit());
}
