/**
 * The cost of starting: CPU of the tool's short verbs from start to end, and of an agent from its start to its first
 * response, of this build and, alternately, of another one.
 *
 *   npm run build:tools && node build/bench/start-up.js [--rounds 11] [--against <another checkout>/dist] [--node
 *   <path>]
 *
 * Needs GNU time. Every round plans a running cluster: each build has applied its own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { EtcdClient } from "../src/etcd-client/etcd-client.ts";
import { connect } from "../src/etcd-client/grpc-client.ts";
import { cpuMicros } from "./process-usage.ts";
import { median } from "./report.ts";
import { timeProgram } from "./timed-program.ts";

const thisBuild = fileURLToPath(new URL("../../dist/", import.meta.url));
const example = join(thisBuild, "../examples/ha-3-masters.yaml");
const firstAnswerMsMax = 20_000;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "11" },
    against: { type: "string" },
    node: { type: "string", default: process.execPath },
  },
});

/** One build with its own cluster, on separate addresses. */
class Build {
  readonly #directory: string;
  readonly #program: (name: string) => string;
  readonly #network: string;
  readonly cpuS: Readonly<Record<string, number[]>> = { version: [], validate: [], plan: [], agent: [] };

  constructor(dist: string, at: number, root: string) {
    this.#directory = join(root, `${at}`);
    this.#network = `127.77.${60 + at}`;
    this.#program = (name) => join(dist, "cmd", name, "main.js");
    mkdirSync(this.#directory);
    const spec = readFileSync(example, "utf8").replaceAll("127.0.1.", `${this.#network}.`);
    writeFileSync(join(this.#directory, "cluster.yaml"), spec);
  }

  #run(...argv: readonly string[]): number {
    const { userS, systemS } = timeProgram(this.#directory, [values.node, this.#program("haplan"), ...argv]);
    return userS + systemS;
  }

  apply(): void {
    this.#run("apply", "-auto-approve", "cluster.yaml");
  }

  destroy(): void {
    this.#run("destroy", "-auto-approve", "cluster.yaml");
  }

  async measureOnce(): Promise<void> {
    this.cpuS["version"]?.push(this.#run("version"));
    this.cpuS["validate"]?.push(this.#run("validate", "cluster.yaml"));
    // Exits with 2, and so fails here, when anything would change.
    this.cpuS["plan"]?.push(this.#run("plan", "-detailed-exitcode", "cluster.yaml"));
    this.cpuS["agent"]?.push(await this.#startAgent());
  }

  /** A cluster of one on an empty directory. Resolves with its CPU seconds when it has responded. */
  async #startAgent(): Promise<number> {
    const data = join(this.#directory, "single");
    const host = `${this.#network}.200`;
    const [client, peer] = [`http://${host}:2379`, `http://${host}:2380`];
    const agent = spawn(
      values.node,
      [
        this.#program("haplan-agent"),
        ...["--name=s", `--data-dir=${data}`, `--initial-cluster=s=${peer}`],
        ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
        ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
      ],
      { stdio: "ignore" },
    );
    const exited = once(agent, "exit");
    try {
      await firstAnswer(`${host}:2379`);
      return cpuMicros(agent.pid!) / 1e6;
    } finally {
      agent.kill("SIGTERM");
      await exited;
      rmSync(data, { recursive: true, force: true });
    }
  }
}

async function firstAnswer(endpoint: string): Promise<void> {
  const client = connect({ endpoints: [endpoint], connectTimeoutMs: 500 });
  const deadlineMs = performance.now() + firstAnswerMsMax;
  try {
    for (;;) {
      try {
        await new EtcdClient(client, { timeoutMs: 500 }).maintenance.status();
        return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
        await sleep(5);
      }
    }
  } finally {
    await client.close();
  }
}

const root = mkdtempSync(join(tmpdir(), "haplan-bench-start-up-"));
const dists = values.against === undefined ? [thisBuild] : [thisBuild, resolve(values.against)];
const builds = dists.map((dist, at) => new Build(dist, at, root));
try {
  for (const build of builds) build.apply();
  for (let round = 0; round < Number(values.rounds); round++) for (const build of builds) await build.measureOnce();
  console.log(
    `| CPU s, median of ${values.rounds} | ${["this build", "other build"].slice(0, builds.length).join(" | ")} |`,
  );
  console.log(`| --- | ${builds.map(() => "---:").join(" | ")} |`);
  for (const name of ["version", "validate", "plan", "agent"])
    console.log(`| ${name} | ${builds.map(({ cpuS }) => median(cpuS[name] ?? []).toFixed(2)).join(" | ")} |`);
} finally {
  for (const build of builds) build.destroy();
  rmSync(root, { recursive: true, force: true });
}
