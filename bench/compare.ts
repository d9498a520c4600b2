/**
 * Compares three members of a real etcd and three of our agent, alternately, on this machine, under the same load
 * client: requests per second, latency, CPU of the members per request, memory, and the ratios of the two.
 *
 *   npm run bench -- --quick            about four minutes
 *   npm run bench -- --only get --system haplan --seconds 10
 *
 * Needs `etcd` (3.4 or newer) on the path. Data goes to a temporary directory that is removed afterwards: see
 * --directory.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BenchCluster, type System } from "./bench-cluster.ts";
import { runLoad } from "./load-client.ts";
import { type Measured, measure } from "./measure.ts";
import { loadName, markdownTable, type Row } from "./report.ts";
import { keyCount, linearizableGetCall, putCall, type Workload, workloads } from "./workloads.ts";

const fillMsMax = 60_000;
const systems: readonly System[] = ["etcd", "haplan"];
/** statfs(2): data kept in memory says nothing about disks. */
const memoryFileSystems = new Set([0x01021994, 0x858458f6]);

type Settings = {
  readonly rounds: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly systems: readonly System[];
  readonly workloads: readonly Workload[];
  readonly directory: string;
  readonly nodeArguments: readonly string[];
};

function readSettings(): { settings: Settings; json: boolean; output: string | undefined } {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      system: { type: "string" },
      only: { type: "string", default: "" },
      directory: { type: "string", default: tmpdir() },
      "node-argument": { type: "string", multiple: true, default: [] },
      output: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const { quick, rounds, seconds, system, only, directory } = values;
  if (memoryFileSystems.has(statfsSync(directory).type))
    throw new RangeError(`${directory} is in memory: set a directory on a disk with --directory`);
  const settings = {
    rounds: Number(rounds ?? (quick ? 2 : 5)),
    // Our members compile their code at run time: a path reaches its usual speed only after seconds of load.
    warmupMs: quick ? 1_800 : 4_000,
    durationMs: 1000 * Number(seconds ?? (quick ? 1.4 : 5)),
    systems: systems.filter((one) => system === undefined || one === system),
    workloads: workloads.filter((workload) => loadName(workload).includes(only)),
    directory: mkdtempSync(join(directory, "haplan-bench-")),
    nodeArguments: values["node-argument"],
  };
  return { settings, json: values.json, output: values.output };
}

/** All rows on one system, from an empty disk. */
async function runRound(
  cluster: BenchCluster,
  settings: Settings,
  take: (workload: Workload, measured: Measured) => void,
): Promise<void> {
  try {
    await cluster.start();
    await fillKeys(cluster);
    const runAll = async (rows: readonly Workload[]): Promise<void> => {
      for (const workload of rows) take(workload, await measure(cluster, workload, settings));
    };
    const reads = settings.workloads.filter(({ afterRestart }) => afterRestart);
    await runAll(settings.workloads.filter(({ afterRestart }) => !afterRestart));
    if (reads.length === 0) return;
    await cluster.restart();
    await warmUp(cluster);
    await runAll(reads);
  } finally {
    await cluster.stop();
    cluster.removeData();
  }
}

/** Enough puts of random keys for most gets to find something. */
async function fillKeys(cluster: BenchCluster): Promise<void> {
  const { endpoints } = cluster;
  const deadlineMs = performance.now() + fillMsMax;
  for (let done = 0; done < keyCount / 2; ) {
    const load = { endpoints, calls: [putCall], connections: 12, streams: 200, warmupMs: 0, durationMs: 2_000 };
    const { requests } = await runLoad(load);
    if (performance.now() > deadlineMs) throw new Error(`${cluster.system} accepts too few puts: see its log`);
    done += requests;
  }
}

/** Gets only: puts would fill the buffer that etcd 3.4 copies for every read. */
async function warmUp(cluster: BenchCluster): Promise<void> {
  const { endpoints } = cluster;
  await runLoad({
    endpoints,
    calls: [linearizableGetCall],
    connections: 12,
    streams: 100,
    warmupMs: 0,
    durationMs: 2_000,
  });
}

function describeMachine(): string {
  const [cpu] = cpus();
  const version = execFileSync("etcd", ["--version"], { encoding: "utf8" }).split("\n", 1)[0];
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model ?? "unknown CPU"}, ${memory} GiB, Linux ${release()}, Node.js ${process.version}, ${version}`;
}

async function main(): Promise<void> {
  const { settings, json, output } = readSettings();
  const rows: Row[] = settings.workloads.map((workload) => ({ workload, rounds: { etcd: [], haplan: [] } }));
  const clusters = settings.systems.map((name) => new BenchCluster(name, settings.directory, settings.nodeArguments));
  const cleanUp = async (): Promise<void> => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
    rmSync(settings.directory, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => void cleanUp().then(() => process.exit(1)));
  try {
    for (let round = 1; round <= settings.rounds; round++) {
      for (const cluster of clusters) {
        await runRound(cluster, settings, (workload, measured) => {
          const row = rows.find((one) => one.workload === workload)!;
          (row.rounds[cluster.system] as Measured[]).push(measured);
          process.stderr.write(
            `round ${round}, ${cluster.system}: ${loadName(workload)}: ${Math.round(measured.perSecond)}/s, ` +
              `p99 ${Math.round(measured.p99Us)} µs, server CPU ${measured.serverCpuUs.toFixed(1)} µs\n`,
          );
        });
      }
    }
  } finally {
    await cleanUp();
  }
  const machine = describeMachine();
  const text = json
    ? `${JSON.stringify({ machine, rows: rows.map(({ workload, rounds }) => ({ load: loadName(workload), rounds })) })}\n`
    : `${machine}; medians of ${settings.rounds} rounds\n\n${markdownTable(rows)}`;
  if (output === undefined) process.stdout.write(text);
  else writeFileSync(output, text);
}

await main();
