/**
 * The provider whose machines are hosts that exist. haplan-host, which comes with the artifact, carries out the calls on
 * each host; this side finds the hosts, brings the artifact there, and keeps one session a host.
 */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Diagnostic } from "../../base/diagnostic.ts";
import { writeFileDurably } from "../../base/durable-file.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { HostClient } from "../../host/host-client.ts";
import type { ObservedMachine, ObservedOrphan, UnreachableMachine } from "../../plan/observed-cluster.ts";
import type { MachineHost, ProviderModel } from "../../plan/provider-model.ts";
import type { Attributes } from "../../plan/resource.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import type { TaskReport } from "../../units/host-task.ts";
import type { UnitArtifact } from "../../units/unit-definition.ts";
import { assertDirName } from "../dir-name.ts";
import type { LogEvent } from "../log-entry.ts";
import type { MachineCalls } from "../machine-calls.ts";
import { withoutInstalled } from "../missing-programs.ts";
import type {
  CheckReport,
  FoundMachines,
  MachineRef,
  NewMachine,
  PreflightRequest,
  Provider,
  ShellProcess,
  ShellRequest,
} from "../provider.ts";
import type { ProviderOptions, RecordedMachine } from "../provider-options.ts";
import { type ArtifactSource, openArtifactSource } from "./artifact-source.ts";
import { checkSshHosts } from "./check-ssh-hosts.ts";
import { HostDirectory, type HostedMachine, type KnownHost } from "./host-directory.ts";
import { hostLogs } from "./host-logs.ts";
import { type HostSession, openHostSession, programsLostError } from "./host-session.ts";
import { sshLimits, sshModel } from "./ssh-model.ts";
import { pinnedName, type SshFiles, shellArguments } from "./ssh-target.ts";
import { untilHostReady } from "./until-host-ready.ts";
import { architectureOf, type Become, type Host, removeArtifact, uploadArtifact } from "./upload-artifact.ts";
import { uploadSnapshot } from "./upload-snapshot.ts";

/** A host that was not reached is not tried again sooner: each attempt takes as long as ssh waits. */
const retryAfterMs = 30_000;

type Options = ProviderOptions & { readonly calls: MachineCalls };

export async function createSshProvider(options: Options): Promise<Provider> {
  return await createHosts(options, sshModel);
}

/** Hosts that another provider creates, and that are reached over ssh. */
export type Hosts = Provider & {
  /** Names of machines whose hosts do not exist, or are down: they are not asked. */
  setAbsent(names: ReadonlySet<string>): void;
  /** The host of the machine is gone: another one at its address, even with its host key, is a new one. */
  forget(machine: MachineRef): Promise<void>;
  /**
   * Waits until the host is reached and `command` ends with exit code 0 on it; reports why it does not yet.
   * @throws HaplanError why it was not reached at last, or what the command said
   */
  untilReady(
    machine: string,
    attributes: Attributes,
    command: string,
    report: (why: string) => void,
    signal?: AbortSignal,
  ): Promise<void>;
};

/** The hosts of the machines that `model` describes, with the attributes of `sshAttributes`. */
export async function createHosts(options: Options, model: ProviderModel): Promise<Hosts> {
  const recorded = (await options.recorded()).map(withLearnedKey);
  const machines = model.describeLoadBalancer(options.spec).hosts;
  const wanted = hostsOf(options.spec, machines).map((host): HostedMachine => {
    const { attributes } = model.describeMachine(options.spec, host);
    return { name: host.name, generation: null, attributes: { ...learnedKey(recorded, host.name), ...attributes } };
  });
  const sshOptions = options.spec.provider["sshOptions"] as readonly string[];
  return new SshProvider(options, new HostDirectory(wanted, recorded, sshOptions), model);
}

/** The newest host key of a machine that was learned when its host was created; it holds unless the spec has one. */
function learnedKey(recorded: readonly RecordedMachine[], name: string): Attributes {
  const named = recorded.filter((machine) => machine.name === name).sort((a, b) => b.generation - a.generation);
  const key = named[0]?.attributes["host_key"];
  return typeof key === "string" ? { ssh_host_key: key } : {};
}

/** A machine that the spec no longer has is reached with it as well. */
function withLearnedKey(machine: RecordedMachine): RecordedMachine {
  return { ...machine, attributes: { ...learnedKey([machine], machine.name), ...machine.attributes } };
}

function hostsOf(spec: ClusterSpec, balancers: readonly MachineHost[]): readonly MachineHost[] {
  const masters = spec.controlPlane.masters.filter(({ adoptedAt }) => adoptedAt === undefined);
  return [
    ...masters.map((master): MachineHost => ({ ...master, role: "master" })),
    ...balancers,
    ...spec.workers.map((worker): MachineHost => ({ ...worker, role: "worker" })),
  ];
}

class SshProvider implements Hosts {
  readonly model: ProviderModel;
  readonly limits: Provider["limits"];
  readonly #options: Options;
  readonly #directory: HostDirectory;
  readonly #artifacts: ArtifactSource;
  readonly #sessions: Map<string, Promise<HostSession | null>> = new Map();
  /** The artifact on each host of this run. */
  readonly #installed: Map<string, Promise<UnitArtifact>> = new Map();
  readonly #failures: Map<string, { readonly error: unknown; readonly untilMs: number }> = new Map();
  #scratch: Promise<string> | null = null;

  constructor(options: Options, directory: HostDirectory, model: ProviderModel) {
    this.model = model;
    this.#options = options;
    this.#directory = directory;
    this.#artifacts = openArtifactSource(options);
    this.limits = sshLimits(options.spec);
  }

  setAbsent(names: ReadonlySet<string>): void {
    this.#directory.setAbsent(names);
  }

  async forget(machine: MachineRef): Promise<void> {
    const name = typeof machine === "string" ? machine : machine.name;
    if (!this.#directory.has(name)) return;
    const { key } = this.#directory.hostOf(machine);
    const session = this.#sessions.get(key);
    this.#sessions.delete(key);
    this.#installed.delete(key);
    this.#failures.delete(key);
    await session?.then((open) => open?.close()).catch(() => undefined);
  }

  async untilReady(...[machine, attributes, command, report, signal]: Parameters<Hosts["untilReady"]>): Promise<void> {
    this.#directory.learn(machine, attributes);
    const host = this.#directory.hostOf(machine);
    await untilHostReady(await this.#reach(host, signal), command, this.#options.clock, report);
  }

  async observe(lineage: string | null, names: readonly string[], signal?: AbortSignal): Promise<FoundMachines> {
    const machines: ObservedMachine[] = [];
    const unreachable: UnreachableMachine[] = [];
    await this.#onEach("observe", this.#directory.hosts(), signal, async (host, given) => {
      try {
        const found = await (await this.#session(host, given))?.observe(lineage, names, given);
        machines.push(...(found?.machines ?? []));
        unreachable.push(
          ...(found?.unreachable ?? []).map(({ name, reason }) => ({
            name,
            reason: `on ${host.target.host}, ${reason}`,
          })),
        );
      } catch (error) {
        if (isStop(error)) throw error;
        const reason = errorText(error).replace(/\.$/, "");
        unreachable.push(...host.unreachableAs.map((name) => ({ name, reason })));
      }
    });
    return { machines: onceEach(machines), unreachable };
  }

  async reinstall(signal?: AbortSignal): Promise<readonly string[]> {
    const installed: string[] = [];
    await this.#onEach("reinstall", this.#directory.hosts(), signal, async (host, given) => {
      try {
        if (!(await this.#hasLostPrograms(host, given))) return;
        await this.#installedSession(host, given);
        installed.push(host.target.host);
      } catch (error) {
        if (isStop(error)) throw error;
        this.#options.log("reinstall failed", { host: host.target.host, error: errorText(error) });
      }
    });
    return installed.toSorted();
  }

  async #hasLostPrograms(host: KnownHost, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#session(host, signal);
      return false;
    } catch (error) {
      if (error instanceof HaplanError && error.code === programsLostError) return true;
      throw error;
    }
  }

  async observeOrphans(signal?: AbortSignal): Promise<readonly ObservedOrphan[]> {
    const orphans: ObservedOrphan[] = [];
    await this.#onEach("observeOrphans", this.#directory.hosts(), signal, async (host, given) => {
      try {
        orphans.push(...((await (await this.#session(host, given))?.observeOrphans(given)) ?? []));
      } catch (error) {
        // `observe` reports a host that does not answer, or that cannot read what it has.
        if (isStop(error)) throw error;
      }
    });
    return orphans;
  }

  async preflight(request: PreflightRequest, signal?: AbortSignal): Promise<readonly Diagnostic[]> {
    return (await this.check(request, signal)).diagnostics;
  }

  async check(request: PreflightRequest, signal?: AbortSignal): Promise<CheckReport> {
    const { spec, calls, clock } = this.#options;
    const hosts = this.#hostsOf(request);
    const reach = (host: KnownHost, given: AbortSignal): Promise<Host> => this.#reach(host, given);
    const installsOf = (machine: string): readonly string[] => this.#directory.packagesOf(machine);
    const report = await checkSshHosts({ cluster: spec.name, hosts, request, calls, clock, signal, reach, installsOf });
    if (report.diagnostics.some(({ severity }) => severity === "error")) return report;
    const found: Diagnostic[] = [];
    await this.#onEach("preflight", hosts, signal, async (host, given) => {
      const machines = request.machines.filter(({ name }) => host.machines.includes(name));
      // What the machines are on the host, and versions of programs, are known there alone; the rest has been checked.
      const units = request.units
        .filter(({ machine }) => host.machines.includes(machine))
        .map(({ machine, unit }) => ({ machine, unit: { ...unit, listens: [] } }));
      if (machines.length + units.length === 0) return;
      const rest = { machines, units, space: [], network: [], certificateAgeMs: null };
      const unfit = (await (await this.#session(host, given))?.preflight(rest, given)) ?? [];
      found.push(...withoutInstalled(unfit, host.machines.flatMap(installsOf)));
    });
    return { ...report, diagnostics: [...found, ...report.diagnostics] };
  }

  /** The hosts of all machines of the request, each with their names. */
  #hostsOf({ machines, units, network }: PreflightRequest): readonly KnownHost[] {
    const named = [
      ...machines.map(({ name }) => name),
      ...units.map(({ machine }) => machine),
      ...network.flatMap(({ from, to }) => (from === null ? [to] : [from, to])),
    ];
    const hosts = new Map<string, KnownHost>();
    for (const name of new Set(named)) {
      if (!this.#directory.has(name)) continue;
      const host = this.#directory.hostOf(name);
      hosts.set(host.key, { ...host, machines: [...(hosts.get(host.key)?.machines ?? []), name] });
    }
    return [...hosts.values()];
  }

  async createMachine({ attributes = {}, ...machine }: NewMachine, signal?: AbortSignal): Promise<Attributes> {
    assertDirName("machine", machine.name);
    if (attributes["ssh_host"] !== undefined) {
      this.#directory.add({ name: machine.name, generation: machine.generation, attributes });
    }
    const { session } = await this.#installedSession(this.#directory.hostOf(machine), signal);
    await installPackages(session, machine.name, attributes, signal);
    await session.createMachine(machine, signal);
    const { machineId } = await session.facts(signal);
    return { machine_id: machineId };
  }

  /** How a host is reached is haplan's affair alone: only its packages change. */
  async updateMachine(machine: MachineRef, attributes: Attributes, signal?: AbortSignal): Promise<Attributes> {
    const { session } = await this.#installedSession(this.#directory.hostOf(machine), signal);
    await installPackages(session, typeof machine === "string" ? machine : machine.name, attributes, signal);
    return { machine_id: (await session.facts(signal)).machineId };
  }

  async renameMachine(from: string, to: string, signal?: AbortSignal): Promise<void> {
    const hosts = this.#directory.hosts().filter(({ machines }) => machines.includes(from) || machines.includes(to));
    for (const host of hosts) await (await this.#session(host, signal))?.renameMachine(from, to, signal);
    this.#directory.rename(from, to);
  }

  async destroyMachine(machine: MachineRef, signal?: AbortSignal): Promise<void> {
    for (const host of this.#hostsWith(machine)) {
      const session = await this.#session(host, signal);
      // Without a session there may still be a part of an upload.
      await session?.destroyMachine(machine, signal);
      await this.#close(host);
      await removeArtifact(await this.#reach(host, signal));
    }
  }

  /** A name alone is all machines of it. */
  #hostsWith(machine: MachineRef): readonly KnownHost[] {
    if (typeof machine !== "string") return [this.#directory.hostOf(machine)];
    return this.#directory.hosts().filter(({ machines }) => machines.includes(machine));
  }

  async startUnit(...[machine, unit, signal]: Parameters<Provider["startUnit"]>): ReturnType<Provider["startUnit"]> {
    const { session, artifact } = await this.#installedSession(this.#directory.hostOf(machine), signal);
    const versioned = unit.program.kind === "haplan" ? { ...unit, artifact } : unit;
    return await session.startUnit(machine, versioned, signal);
  }

  artifact(): Promise<string> {
    return this.#artifacts.name();
  }

  async revertUnit(...[machine, unit, signal]: Parameters<Provider["revertUnit"]>): ReturnType<Provider["revertUnit"]> {
    return await (await this.#sessionOf(machine, signal)).revertUnit(machine, unit, signal);
  }

  async stopUnit(...[machine, unit, graceMs, signal]: Parameters<Provider["stopUnit"]>): Promise<void> {
    await (await this.#session(this.#directory.hostOf(machine), signal))?.stopUnit(machine, unit, graceMs, signal);
  }

  async restoreData(...[machine, request, signal]: Parameters<Provider["restoreData"]>): Promise<void> {
    const host = this.#directory.hostOf(machine);
    const { session, artifact } = await this.#installedSession(host, signal);
    const name = typeof machine === "string" ? machine : machine.name;
    const uploaded = await uploadSnapshot(await this.#reach(host, signal), name, request.snapshot);
    try {
      const { programsDir } = artifact;
      await session.restoreData(machine, { ...request, snapshot: uploaded.path, programsDir }, signal);
    } finally {
      await uploaded.remove();
    }
  }

  async removeUnit(...[machine, unit, signal]: Parameters<Provider["removeUnit"]>): Promise<void> {
    await (await this.#session(this.#directory.hostOf(machine), signal))?.removeUnit(machine, unit, signal);
  }

  async unitLog(...[machine, unit, lines, signal]: Parameters<Provider["unitLog"]>): Promise<string> {
    return await (await this.#sessionOf(machine, signal)).unitLog(machine, unit, lines, signal);
  }

  async *logs(...[machine, request, signal]: Parameters<Provider["logs"]>): AsyncGenerator<LogEvent> {
    const host = this.#directory.hostOf(machine);
    const files = await this.#files(host);
    const { name: cluster } = this.#options.spec;
    yield* hostLogs({ target: host.target, files, become: this.#become(), cluster }, machine, request, signal);
  }

  async shell(machine: MachineRef, request: ShellRequest): Promise<ShellProcess> {
    const host = this.#directory.hostOf(machine);
    return { file: "ssh", arguments: shellArguments(host.target, await this.#files(host), request), directory: null };
  }

  async askUnit(...[machine, unit, socket, question, signal]: Parameters<Provider["askUnit"]>): Promise<string | null> {
    return await (await this.#sessionOf(machine, signal)).askUnit(machine, unit, socket, question, signal);
  }

  async readUnitFile(...[machine, unit, path, signal]: Parameters<Provider["readUnitFile"]>): Promise<string | null> {
    return await (await this.#sessionOf(machine, signal)).readUnitFile(machine, unit, path, signal);
  }

  async runTask(...[machine, unit, task, signal]: Parameters<Provider["runTask"]>): Promise<string> {
    return await (await this.#sessionOf(machine, signal)).runTask(machine, unit, task, signal);
  }

  async startTask(...[machine, unit, task, signal]: Parameters<Provider["startTask"]>): Promise<void> {
    await (await this.#sessionOf(machine, signal)).startTask(machine, unit, task, signal);
  }

  async taskReport(...[machine, unit, task, signal]: Parameters<Provider["taskReport"]>): Promise<TaskReport> {
    return await (await this.#sessionOf(machine, signal)).taskReport(machine, unit, task, signal);
  }

  async close(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.then((open) => open?.close()).catch(() => undefined)));
    if (this.#scratch !== null) await rm(await this.#scratch, { recursive: true, force: true });
  }

  /** As many hosts at once as `MachineCalls` lets. */
  async #onEach(
    call: string,
    hosts: readonly KnownHost[],
    signal: AbortSignal | undefined,
    work: (host: KnownHost, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    await Promise.all(
      hosts.map((host) =>
        this.#options.calls.run({ what: `${call} ${host.target.host}`, signal }, (given) => work(host, given)),
      ),
    );
  }

  /** @throws HaplanError `provider/no-machine` where haplan was never installed */
  async #sessionOf(machine: MachineRef, signal: AbortSignal | undefined): Promise<HostClient> {
    const host = this.#directory.hostOf(machine);
    const session = await this.#session(host, signal);
    if (session === null)
      throw new HaplanError("provider/no-machine", `haplan is not installed on ${host.target.host}`);
    return session;
  }

  /** The open session with a host; a new one where there is none, or where it was lost. Null where haplan is not installed. */
  async #session(host: KnownHost, signal: AbortSignal | undefined): Promise<HostClient | null> {
    const known = this.#sessions.get(host.key);
    if (known !== undefined && !(await isLost(known))) return (await known)?.client ?? null;
    const failed = this.#failures.get(host.key);
    if (failed !== undefined && this.#options.clock.monotonicMs() < failed.untilMs) throw failed.error;
    const opened = this.#open(host);
    this.#sessions.set(host.key, opened);
    opened.catch((error: unknown) => {
      this.#sessions.delete(host.key);
      this.#failures.set(host.key, { error, untilMs: this.#options.clock.monotonicMs() + retryAfterMs });
    });
    const session = await untilAborted(opened, signal);
    if (session === null && this.#sessions.get(host.key) === opened) this.#sessions.delete(host.key);
    return session?.client ?? null;
  }

  /** Several calls may wait for it: it goes on when one of them is given up. */
  async #open({ key, target }: KnownHost): Promise<HostSession | null> {
    const { spec, log, signal } = this.#options;
    const files = await this.#files({ key, target });
    const session = await openHostSession({ target, files, become: this.#become(), cluster: spec.name, signal });
    log("ssh session", {
      host: target.host,
      installed: session !== null,
      version: session?.client.greeting.version ?? "",
    });
    return session;
  }

  /** A session with a host that has the artifact. */
  async #installedSession(
    host: KnownHost,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly session: HostClient; readonly artifact: UnitArtifact }> {
    const installing = this.#installed.get(host.key) ?? this.#install(host);
    this.#installed.set(host.key, installing);
    installing.catch(() => this.#installed.delete(host.key));
    const artifact = await untilAborted(installing, signal);
    const session = await this.#session(host, signal);
    if (session === null)
      throw new HaplanError("ssh/install", `haplan-host is not on ${host.target.host} although it was installed`);
    return { session, artifact };
  }

  /** Several calls may wait for it: it goes on when one of them is given up. */
  async #install(host: KnownHost): Promise<UnitArtifact> {
    const reach = await this.#reach(host, this.#options.signal);
    const name = await this.#artifacts.name();
    const file = await this.#artifacts.file(await architectureOf(reach));
    const { directory, isNew } = await uploadArtifact(reach, file);
    // What a session failed with before, such as programs that were missing, no longer holds.
    this.#failures.delete(host.key);
    if (isNew) {
      this.#options.log("artifact installed", { host: host.target.host, artifact: name });
      // The open session is one with the haplan-host of the version before.
      await this.#close(host);
    }
    return { name, programsDir: `${directory}/cmd` };
  }

  /** Later calls open a session of their own. Those under way, of other machines on the host, are finished. */
  async #close({ key }: KnownHost): Promise<void> {
    const session = this.#sessions.get(key);
    this.#sessions.delete(key);
    await session?.then((open) => open?.finish(this.#options.signal)).catch(() => undefined);
  }

  async #reach(host: KnownHost, signal: AbortSignal | undefined): Promise<Host> {
    return { target: host.target, files: await this.#files(host), become: this.#become(), signal };
  }

  #become(): Become {
    return this.#options.spec.provider["become"] as Become;
  }

  /** The pinned key is given to ssh as a file. */
  async #files({ key, target }: Pick<KnownHost, "key" | "target">): Promise<SshFiles> {
    if (target.hostKey === null) return { knownHostsFile: null };
    this.#scratch ??= mkdtemp(join(tmpdir(), "haplan-ssh-"));
    const knownHostsFile = join(await this.#scratch, createHash("sha256").update(key).digest("hex"));
    writeFileDurably(knownHostsFile, `${pinnedName} ${target.hostKey}\n`);
    return { knownHostsFile };
  }
}

async function installPackages(
  session: HostClient,
  machine: string,
  { packages }: Attributes,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (Array.isArray(packages)) await session.installPackages(machine, packages.map(String), signal);
}

/** The result of work that others wait for as well. @throws the reason of `signal` */
function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work;
  const settled = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: settled.signal });
  });
  return Promise.race([work, aborted]).finally(() => settled.abort());
}

/** Two sessions with one host find the same machines. */
function onceEach(machines: readonly ObservedMachine[]): readonly ObservedMachine[] {
  return [...new Map(machines.map((each) => [`${each.name}@${each.generation} ${each.lineage}`, each])).values()];
}

async function isLost(session: Promise<HostSession | null>): Promise<boolean> {
  return (await session.catch(() => null))?.client.isLost ?? true;
}

function isStop(error: unknown): boolean {
  return error instanceof HaplanError && error.code === "provider/aborted";
}
