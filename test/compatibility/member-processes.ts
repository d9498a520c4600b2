/**
 * Clusters of real processes: ours, started as `haplan-agent` is in production, and a real etcd beside it, with the
 * same flags. They use free ports of a loopback address; directories are removed with the cluster.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export type Engine = "agent" | "etcd";

export type ClusterProcesses = {
  readonly engine: Engine;
  /** One for each member, `http://host:port`. */
  readonly urls: readonly string[];
  /** Kills a member like a power cut; its directory stays. */
  kill(member: number): Promise<void>;
  /** Asks a member to stop, and waits until it has. */
  terminate(member: number): Promise<void>;
  /** Stops and continues the process, as `SIGSTOP` and `SIGCONT` do. */
  pause(member: number): void;
  resume(member: number): void;
  /** Starts a member again with the same flags, and others beside them; resolves once it is healthy. */
  restart(member: number, flags?: readonly string[]): Promise<void>;
  /** Starts a member with another build from now on, named by its main file. */
  useAgent(member: number, agentMain: string): void;
  /** Starts a member that must fail to start; resolves with what it wrote until it exited. */
  startFailure(member: number): Promise<string>;
  /**
   * Starts one more process that joins those that are `present` (by default the initial members); resolves with its
   * URL, without waiting for it to be healthy.
   */
  join(name: string, peerUrl: string, present?: readonly number[]): Promise<string>;
  /** The process of a running member. */
  processId(member: number): number;
  /** Where a member keeps its data. */
  dataDir(member: number): string;
  stop(): Promise<void>;
};

export type ClusterOptions = {
  readonly members: number;
  /** Besides those that name the members and their addresses. */
  readonly flags?: readonly string[];
  /** Further client URLs, one for each member: with https, beside the flags that name the certificates. */
  readonly moreClientUrls?: readonly string[];
  /** Used instead of the installed `etcd`. */
  readonly etcdProgram?: string;
  /** The main file of another build of the agent, for all members. */
  readonly agentMain?: string;
};

/** Another build than `dist` may be tested by naming its main file. */
export const agentMain: string =
  process.env["HAPLAN_AGENT_MAIN"] ?? fileURLToPath(new URL("../../dist/cmd/haplan-agent/main.js", import.meta.url));
const startMs = 20_000;
const refusalMs = 60_000;
const pollMs = 25;

export function isEtcdInstalled(): boolean {
  return spawnSync("etcd", ["--version"]).status === 0;
}

/** @throws when the members do not become healthy in time. */
export async function startCluster(engine: Engine, host: string, options: ClusterOptions): Promise<ClusterProcesses> {
  const cluster = await RunningCluster.create(engine, host, options);
  try {
    await cluster.start();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

type MemberPlace = { readonly name: string; readonly clientUrl: string; readonly peerUrl: string };

class RunningCluster implements ClusterProcesses {
  readonly engine: Engine;
  readonly urls: readonly string[];
  readonly #host: string;
  readonly #members: MemberPlace[];
  readonly #flags: readonly string[];
  readonly #moreClientUrls: readonly string[];
  readonly #etcdProgram: string;
  readonly #agentMain: string;
  readonly #ownAgents = new Map<number, string>();
  readonly #directory = mkdtempSync(join(tmpdir(), "haplan-members-"));
  readonly #processes = new Map<number, ChildProcess>();
  readonly #initial: readonly number[];

  static async create(engine: Engine, host: string, options: ClusterOptions): Promise<RunningCluster> {
    const ports = await freePorts(host, options.members * 2);
    const places = Array.from({ length: options.members }, (_, at) => ({
      name: `haplan-member-${at + 1}`,
      clientUrl: `http://${host}:${ports[2 * at]}`,
      peerUrl: `http://${host}:${ports[2 * at + 1]}`,
    }));
    return new RunningCluster(engine, host, places, options);
  }

  constructor(engine: Engine, host: string, members: MemberPlace[], options: ClusterOptions) {
    this.engine = engine;
    this.#host = host;
    this.#members = members;
    this.#flags = options.flags ?? [];
    this.#moreClientUrls = options.moreClientUrls ?? [];
    this.#etcdProgram = options.etcdProgram ?? "etcd";
    this.#agentMain = options.agentMain ?? agentMain;
    this.urls = members.map(({ clientUrl }) => clientUrl);
    this.#initial = [...members.keys()];
  }

  async start(): Promise<void> {
    for (const at of this.#members.keys()) this.#spawn(at, "new", this.#initial);
    await Promise.all(this.urls.map((url) => waitUntilHealthy(url)));
  }

  kill(member: number): Promise<void> {
    return this.#end(member, "SIGKILL");
  }

  terminate(member: number): Promise<void> {
    return this.#end(member, "SIGTERM");
  }

  pause(member: number): void {
    this.#processes.get(member)?.kill("SIGSTOP");
  }

  resume(member: number): void {
    this.#processes.get(member)?.kill("SIGCONT");
  }

  async restart(member: number, flags: readonly string[] = []): Promise<void> {
    this.#spawn(member, "new", this.#initial, flags);
    await waitUntilHealthy(this.#members[member]!.clientUrl);
  }

  useAgent(member: number, main: string): void {
    this.#ownAgents.set(member, main);
  }

  async startFailure(member: number): Promise<string> {
    const child = this.#spawn(member, "new", this.#initial);
    let text = "";
    child.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    const late = setTimeout(() => child.kill("SIGKILL"), refusalMs);
    await once(child, "close");
    clearTimeout(late);
    return `${text}ended with ${child.exitCode ?? child.signalCode}`;
  }

  async join(name: string, peerUrl: string, present = this.#initial): Promise<string> {
    const [port] = await freePorts(this.#host, 1);
    const clientUrl = `http://${this.#host}:${port}`;
    this.#members.push({ name, clientUrl, peerUrl });
    const own = this.#members.length - 1;
    this.#spawn(own, "existing", [...present, own]);
    return clientUrl;
  }

  processId(member: number): number {
    const pid = this.#processes.get(member)?.pid;
    if (pid === undefined) throw new Error(`member ${member} does not run`);
    return pid;
  }

  dataDir(member: number): string {
    return join(this.#directory, this.#members[member]!.name);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((member) => this.kill(member)));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #spawn(
    at: number,
    state: "new" | "existing",
    initialMembers: readonly number[],
    more: readonly string[] = [],
  ): ChildProcess {
    const { name, clientUrl, peerUrl } = this.#members[at]!;
    const settings = {
      name,
      "data-dir": join(this.#directory, name),
      "listen-client-urls": [clientUrl, ...this.#moreClientUrls.slice(at, at + 1)].join(),
      "advertise-client-urls": clientUrl,
      "listen-peer-urls": peerUrl,
      "initial-advertise-peer-urls": peerUrl,
      "initial-cluster": initialMembers
        .map((member) => `${this.#members[member]!.name}=${this.#members[member]!.peerUrl}`)
        .join(),
      "initial-cluster-state": state,
    };
    const flags = [...Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`), ...this.#flags, ...more];
    const env = { PATH: process.env["PATH"] };
    const child =
      this.engine === "etcd"
        ? spawn(this.#etcdProgram, flags, { stdio: ["ignore", "ignore", "pipe"], env })
        : spawn(process.execPath, [this.#ownAgents.get(at) ?? this.#agentMain, ...flags], {
            stdio: ["ignore", "ignore", "pipe"],
            env,
          });
    // Drained without being read.
    child.stderr!.resume();
    this.#processes.set(at, child);
    return child;
  }

  async #end(member: number, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#processes.get(member);
    this.#processes.delete(member);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.kill(signal);
    });
  }
}

/** The leader; the first member when there is none. */
export async function leadingMember({ urls }: ClusterProcesses): Promise<number> {
  const pages = await Promise.all(
    urls.map((url) =>
      fetch(`${url}/metrics`, { signal: AbortSignal.timeout(3_000) })
        .then((answer) => answer.text())
        .catch(() => ""),
    ),
  );
  return Math.max(
    0,
    pages.findIndex((page) => /^etcd_server_is_leader 1$/m.test(page)),
  );
}

async function waitUntilHealthy(url: string): Promise<void> {
  const deadlineMs = Date.now() + startMs;
  for (;;) {
    const healthy = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (healthy) return;
    if (Date.now() > deadlineMs) throw new Error(`the member at ${url} did not become healthy within ${startMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Ports without a listener: all are taken at the same time, so that they differ. */
export async function freePorts(host: string, count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.listen(0, host, () => {
            const bound = server.address();
            resolve(typeof bound === "object" && bound !== null ? bound.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
