/**
 * How a start ends: rejected, or a member with certain settings. A real etcd logs its settings; ours are read by the
 * code that reads them in the agent, or by the agent itself where it must serve.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type AgentConfig, createAgentConfig } from "../../src/raft-agent/config/agent-config.ts";
import { parseDurationMs, urlText } from "../../src/raft-agent/config/flag-values.ts";
import { assertInitialCluster } from "../../src/raft-agent/config/initial-cluster.ts";
import { readSettings, SettingsError } from "../../src/raft-agent/config/read-settings.ts";
import type { Start } from "./flag-edges.ts";
import { agentMain } from "./member-processes.ts";

export type Outcome =
  | { readonly rejected: string }
  | { readonly settings: Settings; readonly served: Served | null }
  /** Neither, in time. */
  | { readonly waits: true };
export type Settings = Readonly<Record<string, string | number | boolean | readonly string[]>>;
/** What clients and the system see. */
export type Served = { readonly members: unknown; readonly listens: readonly string[] };

const startMs = 15_000;
/** A member that has logged its settings and does not serve by then is waiting for others. */
const waitMs = 5_000;
const pollMs = 20;
/** What 0 means. */
const corruptCheckMs = 600_000;

/** What is run: our agent, or an etcd; a 3.4 logs its settings as JSON only when configured to. */
export type Program = { readonly path: "agent" } | { readonly path: string; readonly version: FlagEtcd };
export type FlagEtcd = "3.4" | "3.6" | "3.7";

type CommandLine = { readonly arguments_: readonly string[]; readonly variables: Readonly<Record<string, string>> };

function commandLine(start: Start, host: string, directory: string): CommandLine {
  const at = (text: string): string => text.replaceAll("HOST", host);
  const basics: Readonly<Record<string, string>> = {
    name: "m",
    "data-dir": "data",
    "listen-client-urls": at("http://HOST:2379"),
    "advertise-client-urls": at("http://HOST:2379"),
    "listen-peer-urls": at("http://HOST:2380"),
    "initial-advertise-peer-urls": at("http://HOST:2380"),
  };
  const variables = Object.fromEntries(Object.entries(start.variables).map(([name, value]) => [name, at(value)]));
  if (start.file !== null) {
    const names = new Set(start.file.map((line) => /^[a-z-]+/.exec(line)?.[0]));
    const lines = Object.entries(basics).flatMap(([name, value]) => (names.has(name) ? [] : [`${name}: ${value}`]));
    // A file that has two documents, or an end marker, counts up to there.
    const file = join(directory, "etcd.yaml");
    const isHead = /^[-%\uFEFF\t]/.test(start.file[0] ?? "");
    writeFileSync(file, `${(isHead ? [...start.file, ...lines] : [...lines, ...start.file]).map(at).join("\n")}\n`);
    return { arguments_: [`--config-file=${file}`], variables };
  }
  const given = new Set(start.flags.map((flag) => /^--?([^=]*)/.exec(flag)?.[1]));
  const flags = Object.entries(basics).flatMap(([name, value]) => (given.has(name) ? [] : [`--${name}=${value}`]));
  return { arguments_: [...flags, ...start.flags.map(at)], variables };
}

/** Ours, as the agent's main file reads it and as a member without data looks at it. */
export function readStart(start: Start, host: string): Outcome {
  const directory = mkdtempSync(join(tmpdir(), "haplan-start-"));
  try {
    const { arguments_, variables } = commandLine(start, host, directory);
    const config = createAgentConfig(readSettings(arguments_, variables, (path) => readFileSync(path, "utf8")));
    assertInitialCluster(config);
    return { settings: settingsOf(config), served: null };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return { rejected: error.message };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function settingsOf(config: AgentConfig): Settings {
  const texts = (urls: readonly URL[]): string[] => urls.map(urlText).sort();
  const { autoCompaction } = config;
  return {
    name: config.name,
    "data-dir": config.dataDir,
    "force-new-cluster": config.forceNewCluster,
    "heartbeat-interval": config.heartbeatIntervalMs,
    "election-timeout": config.electionTimeoutMs,
    "snapshot-count": config.snapshotCount,
    "snapshot-catchup-entries": config.snapshotCatchupEntries,
    "initial-advertise-peer-urls": config.advertisePeerUrls.toSorted(),
    "listen-peer-urls": texts(config.listenPeerUrls),
    "advertise-client-urls": config.advertiseClientUrls.toSorted(),
    "listen-client-urls": texts(config.listenClientUrls),
    "listen-metrics-urls": texts(config.listenMetricsUrls),
    cors: config.corsOrigins.toSorted(),
    "host-whitelist": config.hostWhitelist.toSorted(),
    "initial-cluster": config.initialCluster
      .flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`))
      .sort(),
    "initial-cluster-state": config.initialClusterState,
    "initial-cluster-token": config.initialClusterToken,
    "quota-backend-bytes": config.quotaBackendBytes,
    "max-request-bytes": config.maxRequestBytes,
    "max-concurrent-streams": config.maxConcurrentStreams,
    "pre-vote": config.preVote,
    "initial-corrupt-check": config.initialCorruptCheck,
    "corrupt-check-time-interval": config.corruptCheckMs === corruptCheckMs ? 0 : config.corruptCheckMs,
    "max-learners": config.maxLearners,
    "auto-compaction":
      autoCompaction.mode === "off"
        ? 0
        : autoCompaction.mode === "periodic"
          ? autoCompaction.retentionMs
          : autoCompaction.revisions,
  };
}

/** The same for an etcd, from the log line that has them. */
function settingsInLog(line: Readonly<Record<string, unknown>>): Settings {
  const durations = ["heartbeat-interval", "election-timeout", "corrupt-check-time-interval"];
  const names = Object.keys(settingsOf(createAgentConfig({ values: new Map(), notices: [] })));
  const entries = names.flatMap((name): [string, Settings[string]][] => {
    const value = line[name];
    if (name === "auto-compaction") return [[name, retentionInLog(line)]];
    if (name === "initial-cluster") return [[name, String(value).split(",").sort()]];
    if (durations.includes(name)) return [[name, parseDurationMs(String(value)) ?? String(value)]];
    if (Array.isArray(value)) return [[name, value.map(String).sort()]];
    if (typeof value === "number") return [[name, inRange(value)]];
    return value === undefined ? [] : [[name, value as string | boolean]];
  });
  return Object.fromEntries(entries);
}

/** Larger ones mean "no limit", as does the largest of JavaScript. */
function inRange(value: number): number {
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(value, Number.MAX_SAFE_INTEGER));
}

function retentionInLog(line: Readonly<Record<string, unknown>>): number {
  const text = String(line["auto-compaction-retention"]);
  const ms = parseDurationMs(text) ?? Number.NaN;
  return line["auto-compaction-mode"] === "revision" ? Math.round(ms * 1e6) : ms;
}

/** Runs an etcd, or our agent, until it serves or ends. */
export async function runStart(program: Program, asked: Start, host: string): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), "haplan-start-"));
  const start = "version" in program && program.version === "3.4" ? withJsonLog(asked) : asked;
  const { arguments_, variables } = commandLine(start, host, directory);
  const [command, first] = program.path === "agent" ? [process.execPath, [agentMain]] : [program.path, []];
  const child = spawn(command, [...first, ...arguments_], {
    cwd: directory,
    env: { PATH: process.env["PATH"], ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  try {
    return await outcomeOf(child, start, host);
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

function withJsonLog(start: Start): Start {
  if (start.file === null) return { ...start, variables: { ETCD_LOGGER: "zap", ...start.variables } };
  return start.file.some((line) => /^(logger|-|%)/.test(line))
    ? start
    : { ...start, file: [...start.file, "logger: zap"] };
}

async function outcomeOf(child: ChildProcess, start: Start, host: string): Promise<Outcome> {
  let text = "";
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  const closed = once(child, "close").then(() => true);
  const deadlineMs = Date.now() + startMs;
  const startedMs = Date.now();
  while (Date.now() < deadlineMs) {
    const ended = await Promise.race([closed, pause(pollMs).then(() => false)]);
    if (ended) return { rejected: failureReason(text) };
    const isHealthy = await healthy(host);
    const settings = logLines(text).find(({ msg }) => msg === "starting an etcd server");
    const logged = settings === undefined ? {} : settingsInLog(settings);
    const isReady = isHealthy || /"msg":"(ready to serve client requests|serving client traffic)/.test(text);
    if (isReady && child.exitCode === null)
      return { settings: logged, served: start.isServed ? await look(child, host) : null };
    if (settings !== undefined && Date.now() - startedMs > waitMs) return { settings: logged, served: null };
  }
  return { waits: true };
}

function logLines(text: string): Record<string, unknown>[] {
  return text.split("\n").flatMap((line) => {
    try {
      return line.startsWith("{") ? [JSON.parse(line) as Record<string, unknown>] : [];
    } catch {
      return [];
    }
  });
}

/** The first sentence that gives the reason. */
function failureReason(text: string): string {
  const fatal = logLines(text).find(
    ({ level, error }) => (level === "fatal" || level === "error") && error !== undefined,
  );
  const line = text.split("\n").find((one) => one !== "" && !/^\{|^Usage|recognized and used environment/.test(one));
  return String(fatal?.["error"] ?? line ?? "");
}

function healthy(host: string): Promise<boolean> {
  return fetch(`http://${host}:2379/health`, { signal: AbortSignal.timeout(500) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** The members as listed by the first address that responds, and where the process listens. */
async function look(child: ChildProcess, host: string): Promise<Served> {
  const listens = listeningAddresses(child.pid!);
  for (const address of listens) {
    const url = `http://${address.replace(/^(0\.0\.0\.0|\[::\])/, host)}/v3/cluster/member/list`;
    const answer = await fetch(url, { method: "POST", body: "{}", signal: AbortSignal.timeout(2_000) }).catch(
      () => null,
    );
    if (answer === null || !answer.ok) continue;
    const { members } = (await answer.json()) as {
      members: { name: string; peerURLs: string[]; clientURLs: string[] }[];
    };
    return { members: members.map(({ name, peerURLs, clientURLs }) => ({ name, peerURLs, clientURLs })), listens };
  }
  return { members: null, listens };
}

/** `host:port` of each TCP socket that the process listens on, from /proc. */
function listeningAddresses(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const listening = "0A";
  const rows = ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n").slice(1),
  );
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((columns) => columns[3] === listening && inodes.has(columns[9] ?? ""))
    .map((columns) => addressText(columns[1]!))
    .sort();
}

/** The kernel writes 127.0.0.1:2379 as `0100007F:094B`. */
function addressText(hex: string): string {
  const [address, port] = hex.split(":") as [string, string];
  const bytes = address.match(/.{8}/g)!.flatMap((word) =>
    word
      .match(/../g)!
      .toReversed()
      .map((byte) => Number.parseInt(byte, 16)),
  );
  const host =
    bytes.length === 4
      ? bytes.join(".")
      : `[${bytes.every((byte) => byte === 0) ? "::" : bytes.map((byte) => byte.toString(16)).join(":")}]`;
  return `${host}:${Number.parseInt(port, 16)}`;
}
