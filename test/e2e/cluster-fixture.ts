/**
 * A cluster of real processes in a temporary directory, made and unmade by the built command line. Every cluster has a
 * network of its own below 127.77.0.0/16, so that test files can run side by side on the standard ports.
 */
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { productionDependencies } from "../../cmd/haplan/dependencies.ts";
import { runHaplan } from "../../cmd/haplan/run-haplan.ts";
import { createScriptedTerminal } from "../../cmd/haplan/terminal.fake.ts";
import { systemClock } from "../../src/base/clock.ts";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { unstoppable } from "../support/command-line.ts";
import { isAlive, processesOfDir } from "./dir-processes.ts";
import { type ProgramRun, type RunningProgram, type RunOptions, startProgram } from "./run-program.ts";

export type ClusterShape = {
  /** The third number of all addresses: 127.77.<network>.x. */
  readonly network: number;
  readonly masters?: number;
  readonly workers?: number;
  readonly tls?: boolean;
  readonly loadBalancer?: "embedded" | "haproxy";
};

export type StatusMember = {
  readonly name: string;
  readonly id: string;
  readonly role: "leader" | "follower" | "learner" | "unreachable" | "stopped";
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly pid: number | null;
  readonly raftTerm: number | null;
  readonly raftIndex: number | null;
  readonly dbSizeBytes: number | null;
  readonly freeBytes: number | null;
  readonly healthy: boolean;
};
export type ClusterStatus = {
  readonly members: readonly StatusMember[];
  readonly voters: number;
  readonly quorum: number;
  readonly faultTolerance: number;
  readonly hasLeader: boolean;
  readonly loadBalancer: { readonly endpoint: string; readonly pid: number | null } | null;
  readonly workers: readonly { readonly name: string; readonly pid: number | null; readonly reporting: boolean }[];
};

/** Reads what `status -json` prints; its keys are in snake case. */
export function parseStatus(text: string): ClusterStatus {
  const camelCase = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).map(([name, entry]) => [camelCase(name), entry]))
      : value,
  );
}

export const buildDir: string = packageBuild();
const haplanProgram = join(buildDir, "cmd/haplan/main.js");

/** From the sources as from the build. */
function packageBuild(): string {
  for (let directory = new URL(".", import.meta.url); directory.pathname !== "/"; directory = new URL("..", directory))
    if (existsSync(new URL("package.json", directory))) return fileURLToPath(new URL("dist", directory));
  throw new Error("There is no package.json above the tests");
}

export function addressOf(network: number, host: number): string {
  return `127.77.${network}.${host}`;
}

/** The text of a spec of that shape. */
export function specText(shape: ClusterShape): string {
  const { network, masters = 3, workers = 0, tls = true, loadBalancer = "embedded" } = shape;
  const hosts = (count: number, letter: string, first: number): string =>
    Array.from(
      { length: count },
      (_, i) => `      - { name: ${letter}${i + 1}, address: ${addressOf(network, first + i)} }\n`,
    ).join("");
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata:
  name: e2e
spec:
  provider: { type: local }
  controlPlane:
    members: ${masters}
    tls: { enabled: ${tls} }
    masters:
${hosts(masters, "m", 1)}  workers:${workers === 0 ? " []" : ""}
${hosts(workers, "w", 11)}  loadBalancer: { type: ${loadBalancer}, address: ${addressOf(network, 100)}, ports: [2379] }
`;
}

/** `left` are the processes that destroy did not end. */
export type Teardown = { readonly destroy: ProgramRun; readonly left: readonly number[] };

export class ClusterFixture {
  readonly directory: string;
  /** The cluster's name. */
  readonly name: string;
  readonly #clients = new Map<string, EtcdClient>();
  #environment: Promise<string> | undefined = undefined;
  #teardown: Promise<Teardown> | undefined = undefined;
  /** Nothing survives this process, whatever ends it. */
  readonly #endAtExit = (): void => {
    for (const pid of processesOfDir(this.directory)) kill(pid, "SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  };

  /** `spec` is written to cluster.yaml in a new directory. @throws Error when there is no build. */
  constructor(spec: ClusterShape | string) {
    if (!existsSync(haplanProgram)) throw new Error(`${haplanProgram} is not there: run "npm run build" first`);
    this.directory = realpathSync(mkdtempSync(join(tmpdir(), "haplan-e2e-")));
    process.once("exit", this.#endAtExit);
    const text = typeof spec === "string" ? spec : specText(spec);
    this.name = /^ {2}name: (\S+)/m.exec(text)?.[1] ?? "";
    this.writeSpec(text);
  }

  writeSpec(spec: ClusterShape | string): void {
    writeFileSync(join(this.directory, "cluster.yaml"), typeof spec === "string" ? spec : specText(spec));
  }

  /**
   * Starts the command line as a process in the fixture's directory and does not wait for it; `nodeFlags` are for Node
   * itself.
   */
  start(
    args: readonly string[],
    { nodeFlags = [], ...options }: RunOptions & { readonly nodeFlags?: readonly string[] } = {},
  ): RunningProgram {
    return startProgram(process.execPath, [...nodeFlags, haplanProgram, ...args], { cwd: this.directory, ...options });
  }

  /** The same command line within this process, which does not have to load it for every verb. */
  async haplan(
    args: readonly string[],
    { env = {}, nowMs }: Pick<RunOptions, "env"> & { readonly nowMs?: number } = {},
  ): Promise<ProgramRun> {
    // Its clock is as far from the right one as `nowMs` is now.
    const shiftMs = nowMs === undefined ? 0 : nowMs - Date.now();
    const terminal = createScriptedTerminal(null);
    const code = await runHaplan(args, {
      cwd: this.directory,
      terminal,
      clock: { ...systemClock, now: () => Date.now() + shiftMs },
      loadDependencies: async () => productionDependencies,
      environment: { ...process.env, ...env },
      version: "0.0.0-test",
      stop: unstoppable(),
    });
    const written = (text: string): string => (text === "" ? "" : `${text}\n`);
    return { code, signal: null, stdout: written(terminal.output()), stderr: written(terminal.errors()) };
  }

  /** @throws Error with everything it said when it fails. */
  async mustRun(...args: string[]): Promise<string> {
    const run = await this.haplan(args);
    if (run.code === 0) return run.stdout;
    throw new Error(`haplan ${args.join(" ")} ended with ${run.code ?? run.signal}:\n${run.stdout}\n${run.stderr}`);
  }

  apply(): Promise<string> {
    return this.mustRun("apply", "-auto-approve");
  }

  /** Applies by a clock that shows `nowMs`: certificates are as old as that makes them. */
  async applyAt(nowMs: number): Promise<void> {
    const run = await this.haplan(["apply", "-auto-approve"], { nowMs });
    if (run.code !== 0) throw new Error(`haplan apply ended with ${run.code}:\n${run.stdout}\n${run.stderr}`);
  }

  async status(): Promise<ClusterStatus> {
    const run = await this.haplan(["status", "-json"]);
    // 4: there is no quorum, or no cluster.
    if (run.code === 0 || run.code === 4) return parseStatus(run.stdout);
    throw new Error(`haplan status ended with ${run.code ?? run.signal}:\n${run.stdout}\n${run.stderr}`);
  }

  async leader(): Promise<StatusMember> {
    const { members } = await this.status();
    const leader = members.find((member) => member.role === "leader");
    if (leader === undefined) throw new Error(`No member leads: ${JSON.stringify(members)}`);
    return leader;
  }

  /** What `haplan output -raw NAME` prints. */
  async output(name: string): Promise<string> {
    return (await this.mustRun("output", "-raw", name)).trim();
  }

  /** Our own client, with the certificates that haplan made when the URL is https; closed at teardown. */
  client(endpoint: string, timeoutMs = 5_000): EtcdClient {
    const key = `${endpoint} ${timeoutMs}`;
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const pem = (name: string): Buffer => readFileSync(join(this.directory, ".haplan", this.name, "pki", name));
    const tls = endpoint.startsWith("https:")
      ? { tls: { ca: pem("ca.crt"), cert: pem("admin.crt"), key: pem("admin.key") } }
      : {};
    const client = new EtcdClient(connect({ endpoints: [endpoint], ...tls }), { timeoutMs });
    this.#clients.set(key, client);
    return client;
  }

  /** Runs etcdctl as in a shell that has evaluated `haplan output -raw env`; `endpoints` replaces the load balancer. */
  async etcdctl(
    args: readonly string[],
    options: RunOptions & { readonly endpoints?: string } = {},
  ): Promise<ProgramRun> {
    return (await this.startEtcdctl(args, options)).end;
  }

  async startEtcdctl(
    args: readonly string[],
    options: RunOptions & { readonly endpoints?: string } = {},
  ): Promise<RunningProgram> {
    const { endpoints, ...rest } = options;
    const named = endpoints === undefined ? [] : [`--endpoints=${endpoints}`];
    const env = { HAPLAN_ENV: await (this.#environment ??= this.output("env")) };
    // etcdctl refuses a setting that comes both as flag and as variable.
    const line = `eval "$HAPLAN_ENV"; ${endpoints === undefined ? "" : "unset ETCDCTL_ENDPOINTS; "}exec etcdctl "$@"`;
    return startProgram("sh", ["-c", line, "sh", ...named, ...args], { timeoutMs: 15_000, ...rest, env });
  }

  processes(): number[] {
    return processesOfDir(this.directory);
  }

  /**
   * Destroys the cluster, ends what is left by its process id, removes the directory. A second call does nothing more.
   */
  teardown(): Promise<Teardown> {
    this.#teardown ??= this.#end();
    return this.#teardown;
  }

  async #end(): Promise<Teardown> {
    await Promise.all([...this.#clients.values()].map((client) => client.grpc.close()));
    this.#clients.clear();
    const destroy = await this.haplan(["destroy", "-auto-approve"]);
    const left = this.processes();
    for (const pid of left) kill(pid, "SIGKILL");
    process.off("exit", this.#endAtExit);
    rmSync(this.directory, { recursive: true, force: true });
    return { destroy, left };
  }
}

/** Ends a process that may be gone already, and waits until it is. */
export async function killAndWait(pid: number | null): Promise<void> {
  if (pid === null) throw new Error("There is no process to kill");
  kill(pid, "SIGKILL");
  await until(`process ${pid} is gone`, () => !isAlive(pid));
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Waits until `holds`, which may throw as long as it does not. @throws Error with the last reason. */
export async function until<Value>(
  what: string,
  holds: () => Promise<Value | false> | Value | false,
  timeoutMs = 15_000,
): Promise<Value> {
  const deadline = performance.now() + timeoutMs;
  for (let reason: unknown; ; ) {
    try {
      const value = await holds();
      if (value !== false) return value;
    } catch (error) {
      reason = error;
    }
    if (performance.now() > deadline)
      throw new Error(`Not within ${timeoutMs} ms: ${what}`, reason === undefined ? {} : { cause: reason });
    await sleep(25);
  }
}
