/** `npm run sim`: runs seeds, prints statistics, and how to reproduce a failing one. */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { mutantSeedsMax, mutants } from "./mutants.ts";
import { runTasks } from "./seed-pool.ts";
import { type SeedAnswer, type SeedTask, serveSeeds } from "./seed-worker.ts";
import { addStatistics, emptyStatistics, type Statistics } from "./statistics.ts";

const traceDir = "build/simulation";

type Options = {
  readonly seeds: number;
  readonly seed: number;
  readonly minutes?: number;
  readonly workers: number;
  readonly mutant?: string;
  readonly mutants?: boolean;
};

if (process.argv.includes("--worker")) serveSeeds();
else process.exitCode = await main();

async function main(): Promise<number> {
  const program = new Command("sim")
    .description("Run whole clusters in simulated time; every seed is a separate run.")
    .option("--seeds <n>", "number of seeds to run; 1 when a seed is given", wholeNumber)
    .option("--seed <n>", "the first seed", wholeNumber, 1)
    .option("--minutes <n>", "continue with further seeds for this long", Number)
    .option("--workers <n>", "number of concurrent processes", wholeNumber, availableParallelism())
    .option("--mutant <name>", "run a mutant")
    .option("--mutants", "run every mutant in turn, and expect each to be detected")
    .parse();
  const given = program.opts<Omit<Options, "seeds"> & { readonly seeds?: number }>();
  const isOne = program.getOptionValueSource("seed") === "cli";
  const options: Options = { ...given, seeds: given.seeds ?? (isOne ? 1 : given.minutes === undefined ? 200 : 0) };
  return options.mutants === true ? findMutants(options) : runSeeds(options);
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("Use an integer.");
  return Number(text);
}

async function runSeeds({ seed: first, seeds, minutes, workers, mutant }: Options): Promise<number> {
  const startMs = performance.now();
  const deadlineMs = startMs + (minutes ?? 0) * 60_000;
  const sum = emptyStatistics();
  let [nextSeed, ran, failed] = [first, 0, 0];
  const next = (): SeedTask | null => {
    const goesOn = nextSeed < first + seeds || performance.now() < deadlineMs;
    return goesOn ? { seed: nextSeed++, mutant: mutant ?? null } : null;
  };
  await runTasks(fileURLToPath(import.meta.url), workers, next, (answer) => {
    ran++;
    addStatistics(sum, answer.result.statistics);
    if (answer.result.violation !== null) {
      failed++;
      reportFailure(answer);
    }
  });
  printSummary(ran, failed, sum, performance.now() - startMs);
  return failed === 0 ? 0 : 1;
}

/** Runs seeds 1, 2, 3… of each mutant until it is detected, and reports it at once. */
async function findMutants({ workers }: Options): Promise<number> {
  const found = new Set<string>();
  const names = Object.keys(mutants);
  const tasks = (function* (): Generator<SeedTask> {
    for (const mutant of names) {
      for (let seed = 1; seed <= mutantSeedsMax && !found.has(mutant); seed++) yield { seed, mutant };
    }
  })();
  await runTasks(
    fileURLToPath(import.meta.url),
    workers,
    () => tasks.next().value ?? null,
    ({ task: { mutant, seed }, result: { violation } }) => {
      if (mutant === null || violation === null || found.has(mutant)) return;
      found.add(mutant);
      console.log(`${mutant.padEnd(40)} seed ${String(seed).padStart(3)}  ${violation.text}`);
    },
  );
  for (const name of names) if (!found.has(name)) console.log(`${name.padEnd(40)} NOT FOUND`);
  console.log(`${found.size} of ${names.length} mutants detected`);
  return found.size === names.length ? 0 : 1;
}

function reportFailure({ task: { seed, mutant }, result }: SeedAnswer): void {
  mkdirSync(traceDir, { recursive: true });
  const path = `${traceDir}/seed-${seed}${mutant === null ? "" : `-${mutant}`}.txt`;
  writeFileSync(path, `${result.violation!.trace.join("\n")}\n`);
  console.log(`seed ${seed}: ${result.violation!.text}`);
  console.log(
    `  reproduce: npm run sim -- --seed ${seed}${mutant === null ? "" : ` --mutant ${mutant}`}   trace: ${path}`,
  );
}

function printSummary(ran: number, failed: number, sum: Statistics, wallMs: number): void {
  const hours = sum.simulatedMs / 3_600_000;
  const minutes = wallMs / 60_000;
  const lines: [string, number | string][] = [
    ["seeds", ran],
    ["failed", failed],
    ["simulated hours", hours.toFixed(2)],
    ["wall minutes", minutes.toFixed(2)],
    ["simulated hours per wall minute", (hours / minutes).toFixed(2)],
    ["events", sum.events],
    ["elections won", sum.elections],
    ["crashes", sum.crashes],
    ["partitions", sum.partitions],
    ["disk faults", sum.diskFaults],
    ["members permanently lost", sum.lostMembers],
    ["membership changes", sum.membershipChanges],
    ["snapshots installed", sum.snapshotsInstalled],
    ["log compactions", sum.compactions],
    ["client operations", sum.clientOperations],
    ["acknowledged writes", sum.acknowledgedWrites],
    ["unknown outcomes", sum.unknownOutcomes],
    ["watch events", sum.watchEvents],
    ["leases granted", sum.leasesGranted],
    ["leases renewed or queried", sum.leasesRenewed],
    ["compactions of keys", sum.keyCompactions],
    ["members upgraded", sum.upgrades],
    ["members downgraded", sum.downgrades],
    ["clusters that agreed on a version", sum.versionsRaised],
    ["undecided histories", sum.undecidedHistories],
  ];
  for (const [name, value] of lines) console.log(`${name.padEnd(32)} ${String(value).padStart(12)}`);
}
