/**
 * A store much larger than memory: one member of each system in turn is loaded, stopped and restarted, and compacted
 * under load. Measured: loading, the time from the start of the process to a response, resident memory (private, and
 * mapped pages of the file), disk, and the duration and impact of a compaction.
 *
 *   npm run build:tools && node build/bench/large-store.js [--keys 1000000] [--value-bytes 2048] [--system haplan]
 *   [--directory DIR]
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { EtcdClient } from "../src/etcd-client/etcd-client.ts";
import { connect } from "../src/etcd-client/grpc-client.ts";
import { encodePutRequest } from "../src/raft-agent/api/put.ts";
import { encodeRangeRequest, rangeRequest } from "../src/raft-agent/api/range.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import { type LoadCall, LoadConnection } from "./load-connection.ts";

type System = "etcd" | "haplan";
type Size = { readonly keys: number; readonly valueBytes: number };
type Memory = { readonly own: number; readonly mapped: number };
type Latency = { readonly p50: number; readonly p99: number; readonly max: number };
type Result = {
  readonly loadSeconds: number;
  readonly loadPeak: Memory;
  readonly afterLoad: Memory;
  readonly diskBytes: number;
  readonly restartSeconds: number;
  readonly afterRestart: Memory;
  readonly killedRestartSeconds: number;
  readonly compactionSeconds: number;
  readonly putBefore: Latency;
  readonly putMeanwhile: Latency;
  readonly getBefore: Latency;
  readonly getMeanwhile: Latency;
  readonly diskBytesAfter: number;
};

const host = "127.77.34.20";
const ports = { etcd: 12_379, haplan: 22_379 };
const agentMain = fileURLToPath(new URL("../../dist/cmd/haplan-agent/main.js", import.meta.url));
const putPath = "/etcdserverpb.KV/Put";
const loadStreams = 100;
const settleMs = 10_000;
const quietMs = 5_000;
/** The share of keys that are written a second time, so that the compaction removes their first version. */
const overwrittenShare = 0.3;

class Member {
  readonly system: System;
  readonly #directory: string;
  readonly #nodeArguments: readonly string[];
  #process: ChildProcess | null = null;

  constructor(system: System, directory: string, nodeArguments: readonly string[]) {
    this.system = system;
    this.#directory = directory;
    this.#nodeArguments = nodeArguments;
  }

  get #url(): string {
    return `http://${host}:${ports[this.system]}`;
  }

  /** Resolves with the seconds until the member was healthy and had answered a linearizable read. */
  async start(): Promise<number> {
    const peerUrl = `http://${host}:${ports[this.system] + 1}`;
    const flags = {
      name: "m1",
      "data-dir": join(this.#directory, "data"),
      "listen-client-urls": this.#url,
      "advertise-client-urls": this.#url,
      "listen-peer-urls": peerUrl,
      "initial-advertise-peer-urls": peerUrl,
      "initial-cluster": `m1=${peerUrl}`,
      "quota-backend-bytes": String(8 * 2 ** 30),
    };
    const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const output = openSync(join(this.#directory, "log"), "a");
    const [command, first] =
      this.system === "etcd" ? ["etcd", []] : [process.execPath, [...this.#nodeArguments, agentMain]];
    const startedMs = performance.now();
    this.#process = spawn(command, [...first, ...words], { stdio: ["ignore", output, output] });
    while (!(await this.#answers())) {
      if (this.#process.exitCode !== null) throw new Error(`${this.system} ended: see ${this.#directory}/log`);
      await sleep(20);
    }
    return (performance.now() - startedMs) / 1000;
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (running === null || running.exitCode !== null) return;
    running.kill(signal);
    await once(running, "exit");
  }

  client(): EtcdClient {
    return new EtcdClient(connect({ endpoints: [this.#url] }), { timeoutMs: 600_000 });
  }

  load(call: LoadCall, streams: number, latency: LatencyHistogram): LoadConnection {
    return new LoadConnection({ host, port: ports[this.system], calls: [call], streams, latency });
  }

  memory(): Memory {
    const status = readFileSync(`/proc/${this.#process!.pid}/status`, "utf8");
    const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1024;
    return { own: field("RssAnon"), mapped: field("RssFile") + field("RssShmem") };
  }

  diskBytes(): number {
    return Number(execFileSync("du", ["-sB1", join(this.#directory, "data")], { encoding: "utf8" }).split("\t")[0]);
  }

  async #answers(): Promise<boolean> {
    try {
      if (!(await fetch(`${this.#url}/health`)).ok) return false;
      const client = this.client();
      await client.range("nothing").finally(() => client.grpc.close());
      return true;
    } catch {
      return false;
    }
  }
}

function keyOf(number: number): Buffer {
  return Buffer.from(`/registry/objects/${String(number).padStart(10, "0")}`);
}

/** Puts `count` keys from the first on, each once. Resolves with the seconds that took. */
async function putKeys(member: Member, count: number, valueBytes: number, whileWaiting: () => void): Promise<number> {
  const value = Buffer.alloc(valueBytes, 0x76);
  const nextMessage = (sequence: number): Uint8Array => {
    value.writeUInt32LE(sequence);
    return putMessage(keyOf(sequence % count), value);
  };
  const startedMs = performance.now();
  const connection = member.load({ path: putPath, nextMessage }, loadStreams, new LatencyHistogram());
  while (connection.good < count) {
    await sleep(100);
    whileWaiting();
    if (connection.failed > 0) throw new Error(`${connection.failed} puts failed`);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  await connection.stop();
  connection.close();
  return seconds;
}

function putMessage(key: Uint8Array, value: Uint8Array): Uint8Array {
  return encodePutRequest({ key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false });
}

/** Puts and gets of a few clients, before a compaction and while it runs. */
async function measureCompaction(
  member: Member,
  { keys, valueBytes }: Size,
): Promise<Pick<Result, "compactionSeconds" | "putBefore" | "putMeanwhile" | "getBefore" | "getMeanwhile">> {
  const [puts, gets] = [new LatencyHistogram(), new LatencyHistogram()];
  const value = Buffer.alloc(valueBytes, 0x77);
  const some = (sequence: number): Buffer => keyOf((sequence * 7_919) % keys);
  const connections = [
    member.load({ path: putPath, nextMessage: (at) => putMessage(some(at), value) }, 4, puts),
    member.load(
      { path: "/etcdserverpb.KV/Range", nextMessage: (at) => encodeRangeRequest(rangeRequest(some(at))) },
      4,
      gets,
    ),
  ];
  await sleep(quietMs);
  for (const latency of [puts, gets]) latency.clear();
  await sleep(quietMs);
  const [putBefore, getBefore] = [latencyOf(puts), latencyOf(gets)];
  const client = member.client();
  const { header } = await client.range("nothing");
  for (const latency of [puts, gets]) latency.clear();
  const startedMs = performance.now();
  await client.compact(header!.revision, true);
  const compactionSeconds = (performance.now() - startedMs) / 1000;
  const [putMeanwhile, getMeanwhile] = [latencyOf(puts), latencyOf(gets)];
  await Promise.all(connections.map((connection) => connection.stop()));
  for (const connection of connections) connection.close();
  await client.grpc.close();
  return { compactionSeconds, putBefore, putMeanwhile, getBefore, getMeanwhile };
}

function latencyOf(latency: LatencyHistogram): Latency {
  return { p50: latency.quantile(0.5), p99: latency.quantile(0.99), max: latency.quantile(1) };
}

async function measure(member: Member, size: Size): Promise<Result> {
  const say = (text: string): void => console.error(`${member.system}: ${text}`);
  await member.start();
  let loadPeak: Memory = { own: 0, mapped: 0 };
  say(`loading ${size.keys} keys`);
  const loadSeconds = await putKeys(member, size.keys, size.valueBytes, () => {
    const now = member.memory();
    if (now.own > loadPeak.own) loadPeak = now;
  });
  await sleep(settleMs);
  const afterLoad = member.memory();
  const diskBytes = member.diskBytes();
  say("restarting");
  await member.end("SIGTERM");
  const restartSeconds = await member.start();
  await sleep(settleMs);
  const afterRestart = member.memory();
  say("overwriting and compacting");
  await putKeys(member, Math.round(size.keys * overwrittenShare), size.valueBytes, () => {});
  const compaction = await measureCompaction(member, size);
  say("killing");
  await member.end("SIGKILL");
  const killedRestartSeconds = await member.start();
  await sleep(settleMs);
  const diskBytesAfter = member.diskBytes();
  await member.end("SIGTERM");
  const memory = { loadPeak, afterLoad, afterRestart };
  return { loadSeconds, diskBytes, restartSeconds, killedRestartSeconds, diskBytesAfter, ...memory, ...compaction };
}

function toMarkdown(results: ReadonlyMap<System, Result>, size: Size): string {
  const megabytes = (bytes: number): string => Math.round(bytes / 1e6).toLocaleString("en");
  const memory = ({ own, mapped }: Memory): string => `${megabytes(own)} + ${megabytes(mapped)}`;
  const latency = ({ p50, p99, max }: Latency): string =>
    [p50, p99, max].map((micros) => (micros / 1000).toFixed(1)).join(" / ");
  const rows: readonly (readonly [string, (result: Result) => string])[] = [
    [
      `loading ${size.keys.toLocaleString("en")} values of ${size.valueBytes} bytes, s`,
      (r) => r.loadSeconds.toFixed(0),
    ],
    ["memory while loading, at most, own + mapped, MB", (r) => memory(r.loadPeak)],
    ["memory when idle after loading, MB", (r) => memory(r.afterLoad)],
    ["disk, MB", (r) => megabytes(r.diskBytes)],
    ["start to answer, after SIGTERM, s", (r) => r.restartSeconds.toFixed(2)],
    ["memory when idle after that, MB", (r) => memory(r.afterRestart)],
    ["compaction of overwritten values, s", (r) => r.compactionSeconds.toFixed(2)],
    ["put before, p50 / p99 / max, ms", (r) => latency(r.putBefore)],
    ["put meanwhile", (r) => latency(r.putMeanwhile)],
    ["linearizable get before", (r) => latency(r.getBefore)],
    ["linearizable get meanwhile", (r) => latency(r.getMeanwhile)],
    ["start to answer, after SIGKILL, s", (r) => r.killedRestartSeconds.toFixed(2)],
    ["disk afterwards, MB", (r) => megabytes(r.diskBytesAfter)],
  ];
  const systems = [...results.keys()];
  return [
    `| | ${systems.join(" | ")} |`,
    `| --- |${systems.map(() => " ---: |").join("")}`,
    ...rows.map(([name, cell]) => `| ${name} | ${systems.map((system) => cell(results.get(system)!)).join(" | ")} |`),
  ].join("\n");
}

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000" },
    "value-bytes": { type: "string", default: "2048" },
    system: { type: "string", multiple: true, default: ["etcd", "haplan"] },
    directory: { type: "string", default: tmpdir() },
    "node-argument": { type: "string", multiple: true, default: [] },
  },
});
const size: Size = { keys: Number(values.keys), valueBytes: Number(values["value-bytes"]) };
const results = new Map<System, Result>();
for (const system of values.system as System[]) {
  const directory = mkdtempSync(join(values.directory, `haplan-large-${system}-`));
  mkdirSync(directory, { recursive: true });
  const member = new Member(system, directory, values["node-argument"]);
  try {
    results.set(system, await measure(member, size));
  } finally {
    await member.end("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
}
console.log(toMarkdown(results, size));
