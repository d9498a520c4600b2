/** One copy of the cluster on this machine: built once, and put back to its beginning before each trial. */
import { readFileSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { EtcdClient } from "../etcd-client/etcd-client.ts";
import { type ClientOptions, connect } from "../etcd-client/grpc-client.ts";
import { listenCheck } from "../providers/local/listening-sockets.ts";
import { listDir, machinePaths, unitPaths } from "../providers/local/machine-dir.ts";
import { findExecutable } from "../providers/local/programs.ts";
import { readUnitRecord } from "../providers/local/unit-files.ts";
import type { ProcessRequest, Supervisor } from "../providers/supervisor.ts";
import { agentUnitName } from "../units/unit-definition.ts";
import { type ApplyProcess, type StreamLine, startApply } from "./apply-process.ts";
import type { CopiedCluster, OutsideMember } from "./copied-cluster.ts";
import { endProcesses, processesOfMember } from "./copy-processes.ts";
import { type LinkOptions, linkedProcesses } from "./linked-processes.ts";

export type CopyOptions = {
  readonly cluster: CopiedCluster;
  /** A directory of its own. */
  readonly directory: string;
  /** haplan with the processes of a copy. */
  readonly program: string;
  /** Contains haplan's own programs. */
  readonly programsDir: string;
  readonly link: LinkOptions;
};

/** What the copy contains at first. */
export type CopyData = { readonly keys: number } | { readonly backup: string };

const readyMs = 30_000;
const stopGraceMs = 8_000;
const putsAtOnce = 64;
const leaderAttemptsMax = 20;
/** etcd accepts no new member before its members have been connected for five seconds. */
const etcdSettlesMs = 5_500;

export class ClusterCopy {
  readonly cluster: CopiedCluster;
  /** Where haplan runs. */
  readonly directory: string;
  readonly #options: CopyOptions;
  readonly #template: string;
  readonly #supervisor: Supervisor;

  constructor(options: CopyOptions) {
    this.cluster = options.cluster;
    this.#options = options;
    this.directory = join(options.directory, "work");
    this.#template = join(options.directory, "template");
    this.#supervisor = linkedProcesses(options.link);
  }

  /** @throws HaplanError `rehearse/no-copy` */
  async build(data: CopyData): Promise<void> {
    const { before, ended } = this.cluster;
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await Promise.all(this.cluster.outside.map((member) => this.#startOutside(member)));
    if (this.cluster.outside.length > 0) await this.awaitWrites(this.#memberUrls());
    if (before !== null) {
      await this.#writeSpec(before);
      await this.#mustRun(
        "backup" in data
          ? ["restore", data.backup, "cluster.yaml", "-auto-approve", "-json"]
          : ["apply", "-auto-approve", "-json"],
      );
    }
    if ("keys" in data) await this.#fill(data.keys);
    for (const { name, machineGone } of ended) await this.#endMember(name, machineGone);
    await this.#writeSpec(this.cluster.after);
    await endProcesses(this.directory, stopGraceMs);
    await rename(this.directory, this.#template);
  }

  /** Puts it back to its beginning, and starts it. */
  async reset(): Promise<void> {
    await endProcesses(this.directory);
    await rm(this.directory, { recursive: true, force: true });
    await execa("cp", ["-a", "--sparse=auto", this.#template, this.directory]);
    await Promise.all([
      ...this.cluster.outside.map((member) => this.#startOutside(member)),
      ...this.#recordedUnits().map((unit) => this.#startRecorded(unit)),
    ]);
    await this.awaitWrites(this.cluster.endpoints);
    if (this.cluster.engine === "etcd") await sleep(etcdSettlesMs);
    await this.#placeLeader();
  }

  /** The plan restarts the leader last: the copy has to have the same one. */
  async #placeLeader(): Promise<void> {
    const { leader, memberUrls } = this.cluster;
    const wanted = memberUrls.find(({ name }) => name === leader);
    if (wanted === undefined) return;
    const clients = memberUrls.map(({ clientUrls }) => this.open(clientUrls, 2_000));
    const target = this.open(wanted.clientUrls, 2_000);
    try {
      for (let attempt = 0; attempt < leaderAttemptsMax; attempt += 1) {
        const { memberId, leader: present } = await target.maintenance.status();
        if (present === memberId) return;
        // Only the leader takes the call.
        await Promise.all(clients.map((client) => client.maintenance.moveLeader(memberId).catch(() => undefined)));
        await sleep(100);
      }
    } finally {
      await Promise.all([target, ...clients].map((client) => client.grpc.close().catch(() => undefined)));
    }
  }

  async end(): Promise<void> {
    await endProcesses(this.directory);
  }

  apply(words: readonly string[], onLine?: (line: StreamLine) => void): ApplyProcess {
    const { program, link } = this.#options;
    return startApply({ program, directory: this.directory, link }, words, onLine);
  }

  processesOf(member: string): readonly number[] {
    return processesOfMember(this.directory, member);
  }

  /** Starts a member again that haplan has not started, as what supervises it would. */
  async restartOutside(name: string): Promise<void> {
    const member = this.cluster.outside.find((each) => each.name === name);
    if (member !== undefined) await this.#startOutside(member);
  }

  /** A client with the credentials that are valid now. */
  open(endpoints: readonly string[], timeoutMs = 5_000): EtcdClient {
    const options: ClientOptions = { endpoints, ...this.#tls() };
    return new EtcdClient(connect(options), { timeoutMs });
  }

  /** @throws HaplanError `rehearse/no-copy` */
  async awaitWrites(endpoints: readonly string[]): Promise<void> {
    const deadlineMs = performance.now() + readyMs;
    for (;;) {
      const client = this.open(endpoints, 1_000);
      try {
        await client.put("/haplan-rehearsal/ready", "1");
        return;
      } catch (error) {
        if (performance.now() > deadlineMs)
          throw new HaplanError("rehearse/no-copy", `The copy does not accept writes: ${errorText(error)}`);
        await sleep(50);
      } finally {
        await client.grpc.close().catch(() => undefined);
      }
    }
  }

  #memberUrls(): readonly string[] {
    return this.cluster.memberUrls.flatMap(({ clientUrls }) => clientUrls);
  }

  #tls(): Pick<ClientOptions, "tls"> {
    if (!this.cluster.tls) return {};
    const read = (name: string): string => readFileSync(join(this.#clusterDir(), "pki", name), "utf8");
    return { tls: { ca: read("ca.crt"), cert: read("admin.crt"), key: read("admin.key") } };
  }

  #clusterDir(): string {
    return join(this.directory, ".haplan", this.cluster.name);
  }

  async #writeSpec(text: string): Promise<void> {
    await writeFile(join(this.directory, "cluster.yaml"), text);
  }

  async #mustRun(words: readonly string[]): Promise<void> {
    const { exitCode, error } = await this.apply(words).end;
    if (exitCode !== 0) throw new HaplanError("rehearse/no-copy", `The copy could not be made: ${error ?? "unknown"}`);
  }

  async #fill(keys: number): Promise<void> {
    const client = this.open(this.cluster.endpoints, 30_000);
    try {
      let next = 0;
      const put = async (): Promise<void> => {
        for (let at = next++; at < keys; at = next++)
          await client.put(`/haplan-rehearsal/data/${String(at).padStart(8, "0")}`, "x".repeat(100));
      };
      await Promise.all(Array.from({ length: putsAtOnce }, put));
    } finally {
      await client.grpc.close();
    }
  }

  async #endMember(name: string, machineGone: boolean): Promise<void> {
    const paths = machinePaths(this.#clusterDir(), name);
    await this.#supervisor.stop(unitPaths(this.#clusterDir(), name, agentUnitName), 0);
    if (machineGone) await rm(paths.directory, { recursive: true, force: true });
  }

  /** Units that are to run: all but those of members that are down. */
  #recordedUnits(): readonly (readonly [machine: string, unit: string])[] {
    const ended = new Set(this.cluster.ended.map(({ name }) => name));
    return listDir(join(this.#clusterDir(), "machines"))
      .filter((machine) => !ended.has(machine))
      .flatMap((machine) =>
        listDir(machinePaths(this.#clusterDir(), machine).units).map((unit) => [machine, unit] as const),
      );
  }

  async #startRecorded([machine, unit]: readonly [string, string]): Promise<void> {
    const paths = unitPaths(this.#clusterDir(), machine, unit);
    const record = readUnitRecord(paths);
    if (record?.command === undefined) return;
    const { program, listens, command } = record;
    const dataDir = machinePaths(this.#clusterDir(), machine).data;
    await rm(paths.process, { force: true });
    await this.#supervisor.start(paths, { ...command, program, listens, dataDir, isUp: listenCheck(listens) });
  }

  async #startOutside(member: OutsideMember): Promise<void> {
    const root = join(this.directory, "outside");
    const paths = unitPaths(root, member.name, agentUnitName);
    const dataDir = machinePaths(root, member.name).data;
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await mkdir(paths.files, { recursive: true, mode: 0o700 });
    await rm(paths.process, { force: true });
    await this.#supervisor.start(paths, this.#outsideRequest(member, dataDir));
  }

  #outsideRequest(member: OutsideMember, dataDir: string): ProcessRequest {
    const { engine, outside, etcdBinary, electionTimeoutMs, heartbeatIntervalMs } = this.cluster;
    const program: ProcessRequest["program"] & { kind: "haplan" | "system" } =
      engine === "agent" ? { kind: "haplan", command: "haplan-agent" } : { kind: "system", command: etcdBinary };
    const executable = findExecutable(program, this.#options.programsDir);
    if (executable === null)
      throw new HaplanError("rehearse/no-copy", `The copy needs "${etcdBinary}" on this machine: it is not here`);
    const listens = [member.clientUrl, member.peerUrl].map((url) => new URL(url).host);
    return {
      file: executable.file,
      arguments: [
        ...executable.leadingArguments,
        `--name=${member.name}`,
        `--data-dir=${dataDir}`,
        `--listen-client-urls=${member.clientUrl}`,
        `--advertise-client-urls=${member.clientUrl}`,
        `--listen-peer-urls=${member.peerUrl}`,
        `--initial-advertise-peer-urls=${member.peerUrl}`,
        `--initial-cluster=${outside.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",")}`,
        "--initial-cluster-state=new",
        `--heartbeat-interval=${heartbeatIntervalMs}`,
        `--election-timeout=${electionTimeoutMs}`,
      ],
      environment: {},
      program,
      listens,
      reloadSignal: null,
      capabilities: [],
      dataDir,
      isUp: listenCheck(listens),
    };
  }
}
