/**
 * The provider whose machines are hosts that exist. haplan-host, which comes with the artifact, carries out the calls on
 * each host; this side finds the hosts, brings the artifact there, and keeps one session a host.
 */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { HostClient } from "../../host/host-client.ts";
import type { ObservedMachine, ObservedOrphan, UnreachableMachine } from "../../plan/observed-cluster.ts";
import type { ProviderModel } from "../../plan/provider-model.ts";
import type { Attributes } from "../../plan/resource.ts";
import { machineHosts } from "../../spec/machine-hosts.ts";
import type { TaskReport } from "../../units/host-task.ts";
import { assertDirName } from "../dir-name.ts";
import type { LogEvent } from "../log-entry.ts";
import type { MachineCalls } from "../machine-calls.ts";
import type {
  CheckReport,
  FoundMachines,
  HostFailure,
  LeftoverRequest,
  MachineChange,
  MachineRef,
  NewMachine,
  PreflightRequest,
  Provider,
  ShellProcess,
  ShellRequest,
} from "../provider.ts";
import type { ProviderOptions, RecordedMachine } from "../provider-options.ts";
import { openArtifactSource } from "./artifact-source.ts";
import { onEachHost } from "./each-host.ts";
import { EtcdArchive } from "./etcd-archive.ts";
import { isLockRefused } from "./held-lock.ts";
import { HostDirectory, type HostedMachine, type KnownHost } from "./host-directory.ts";
import { hostLogs } from "./host-logs.ts";
import { HostPreflight } from "./host-preflight.ts";
import { isProgramsLost } from "./host-session.ts";
import { HostSessions } from "./host-sessions.ts";
import { InstalledArtifacts } from "./installed-artifacts.ts";
import { MachineDataTransfer } from "./machine-data-transfer.ts";
import { isRefusedByHost } from "./ssh-failure.ts";
import { type SshRoute, sshLimits, sshModel } from "./ssh-model.ts";
import { shellArguments } from "./ssh-target.ts";
import { untilHostReady } from "./until-host-ready.ts";
import { uploadMs } from "./upload-artifact.ts";

/** A session that is opened again may find that of a run which has just been refused. */
const lockAgainMs = 10_000;

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
export async function createHosts(
  options: Options,
  model: ProviderModel,
  proxyCommandOf: SshRoute["proxyCommandOf"] = () => null,
): Promise<Hosts> {
  const recorded = (await options.recorded()).map(withLearnedKey);
  const balancers = model.describeLoadBalancer(options.spec).hosts;
  const wanted = machineHosts(options.spec, balancers).map((host): HostedMachine => {
    const { attributes } = model.describeMachine(options.spec, host);
    return { name: host.name, generation: null, attributes: { ...learnedKey(recorded, host.name), ...attributes } };
  });
  const sshOptions = options.spec.provider["sshOptions"] as readonly string[];
  const route = { options: sshOptions, proxyCommandOf };
  return new SshProvider(options, new HostDirectory(wanted, recorded, route), model);
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

class SshProvider implements Hosts {
  readonly model: ProviderModel;
  readonly limits: Provider["limits"];
  readonly #options: Options;
  readonly #directory: HostDirectory;
  readonly #sessions: HostSessions;
  readonly #etcd: EtcdArchive | null;
  readonly #artifacts: InstalledArtifacts;
  readonly #checks: HostPreflight;
  readonly #data: MachineDataTransfer;
  /** Hosts that have lost haplan's programs and did not get them back, with the reason. */
  readonly #notInstalled: Map<string, unknown> = new Map();

  constructor(options: Options, directory: HostDirectory, model: ProviderModel) {
    this.model = model;
    this.#options = options;
    this.#directory = directory;
    this.#sessions = new HostSessions(options);
    this.#etcd = EtcdArchive.of(options);
    this.#artifacts = new InstalledArtifacts(options, this.#sessions, openArtifactSource(options), this.#etcd);
    const parts = { options, directory, sessions: this.#sessions };
    this.#checks = new HostPreflight({ ...parts, etcd: this.#etcd });
    this.#data = new MachineDataTransfer({ ...parts, artifacts: this.#artifacts });
    this.limits = sshLimits(options.spec);
  }

  setAbsent(names: ReadonlySet<string>): void {
    this.#directory.setAbsent(names);
  }

  async forget(machine: MachineRef): Promise<void> {
    const name = typeof machine === "string" ? machine : machine.name;
    if (!this.#directory.has(name)) return;
    const host = this.#directory.hostOf(machine);
    this.#artifacts.forget(host);
    await this.#sessions.forget(host);
  }

  async untilReady(...[machine, attributes, command, report, signal]: Parameters<Hosts["untilReady"]>): Promise<void> {
    this.#directory.learn(machine, attributes);
    const host = this.#directory.wantedHostOf(machine);
    await untilHostReady(await this.#sessions.reach(host, signal), command, this.#options.clock, report);
  }

  async observe(lineage: string | null, names: readonly string[], signal?: AbortSignal): Promise<FoundMachines> {
    const machines: ObservedMachine[] = [];
    const unreachable: UnreachableMachine[] = [];
    await this.#onEach("observe", this.#directory.hosts(), signal, async (host, given) => {
      try {
        const found = await (await this.#sessions.find(host, given))?.observe(lineage, names, given);
        for (const machine of found?.machines ?? []) this.#directory.noteFound(machine, host);
        machines.push(...(found?.machines ?? []));
        unreachable.push(
          ...(found?.unreachable ?? []).map(({ name, reason }) => ({
            name,
            reason: `on ${host.target.host}, ${reason}`,
          })),
        );
      } catch (error) {
        if (isStop(error) || isLockRefused(error)) throw error;
        const failure = this.#notInstalled.get(host.key);
        const programs = isProgramsLost(error) && failure === undefined ? ({ programsMissing: true } as const) : {};
        const refused = isRefusedByHost(error) ? ({ refused: true } as const) : {};
        const reason = errorText(failure ?? error).replace(/\.$/, "");
        const moves = (name: string): { isNewHost?: true } =>
          host.newHostOf.includes(name) ? { isNewHost: true } : {};
        unreachable.push(
          ...host.unreachableAs.map((name) => ({ name, reason, ...programs, ...refused, ...moves(name) })),
        );
      }
    });
    return { machines: onceEach(machines), unreachable };
  }

  async lock(...[run, { timeoutMs }, signal]: Parameters<Provider["lock"]>): Promise<void> {
    const { calls } = this.#options;
    const found: KnownHost[] = [];
    const open = (host: KnownHost): Promise<void> =>
      calls.run({ what: `lock ${host.target.host}`, signal, waitMs: timeoutMs }, async (given) => {
        try {
          if ((await this.#sessions.find(host, given)) !== null) found.push(host);
        } catch (error) {
          if (isStop(error) || isLockRefused(error)) throw error;
        }
      });
    await Promise.all(this.#directory.hosts().map(open));
    this.#sessions.lockFor(run, timeoutMs);
    // Of two runs that begin at once, the one goes on that locks the first host.
    const [first, ...others] = found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    if (first !== undefined) await open(first);
    await Promise.all(others.map(open));
    this.#sessions.lockFor(run, lockAgainMs);
  }

  async reinstall(signal?: AbortSignal): Promise<readonly string[]> {
    const installed: string[] = [];
    await this.#onEach("reinstall", this.#directory.hosts(), signal, async (host, given) => {
      try {
        if (await this.#artifacts.reinstall(host, given)) installed.push(host.target.host);
      } catch (error) {
        if (isStop(error)) throw error;
        this.#notInstalled.set(host.key, error);
        this.#options.log("reinstall failed", { host: host.target.host, error: errorText(error) });
      }
    });
    return installed.toSorted();
  }

  async prepare(machines: readonly string[], signal?: AbortSignal): Promise<readonly HostFailure[]> {
    const failures: HostFailure[] = [];
    const { calls } = this.#options;
    const hosts = this.#directory.presentHostsOf(machines);
    await onEachHost(calls, { call: "prepare", hosts, signal, waitMs: uploadMs }, async (host, given) => {
      try {
        await this.#artifacts.session(host, given);
      } catch (error) {
        if (isStop(error)) throw error;
        failures.push({ host: host.target.host, reason: errorText(error) });
      }
    });
    return failures;
  }

  async removeLeftovers({ begun, everywhere }: LeftoverRequest, signal?: AbortSignal): Promise<readonly HostFailure[]> {
    const hosts = this.#directory.hostsWith(begun, everywhere);
    const failures: HostFailure[] = [];
    await this.#onEach("removeLeftovers", hosts, signal, async (host, given) => {
      try {
        await this.#removeLeftovers(host, given);
      } catch (error) {
        if (isStop(error)) throw error;
        failures.push({ host: host.target.host, reason: errorText(error) });
      }
    });
    return failures;
  }

  /** Packages of a machine may have been installed before the machine was made. */
  async #removeLeftovers(host: KnownHost, signal: AbortSignal): Promise<void> {
    const session = await this.#sessions.find(host, signal);
    const found = await session?.observe(null, host.machines, signal);
    const present = new Set([...(found?.machines ?? []), ...(found?.unreachable ?? [])].map(({ name }) => name));
    for (const name of host.machines) if (!present.has(name)) await session?.destroyMachine(name, signal);
    await this.#artifacts.remove(host, signal);
  }

  async observeOrphans(signal?: AbortSignal): Promise<readonly ObservedOrphan[]> {
    const orphans: ObservedOrphan[] = [];
    await this.#onEach("observeOrphans", this.#directory.hosts(), signal, async (host, given) => {
      try {
        orphans.push(...((await (await this.#sessions.find(host, given))?.observeOrphans(given)) ?? []));
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
    return await this.#checks.check(request, signal);
  }

  async createMachine({ attributes = {}, ...machine }: NewMachine, signal?: AbortSignal): Promise<Attributes> {
    assertDirName("machine", machine.name);
    if (attributes["ssh_host"] !== undefined) {
      this.#directory.add({ name: machine.name, generation: machine.generation, attributes });
    }
    const { session } = await this.#artifacts.session(this.#directory.hostOf(machine), signal);
    await installPackages(session, machine.name, attributes, signal);
    await session.createMachine(machine, signal);
    const { machineId } = await session.facts(signal);
    return { machine_id: machineId };
  }

  /** How a host is reached is haplan's affair alone: only its packages change. */
  async updateMachine(machine: MachineRef, { attributes }: MachineChange, signal?: AbortSignal): Promise<Attributes> {
    const { session } = await this.#artifacts.session(this.#directory.hostOf(machine), signal);
    await installPackages(session, typeof machine === "string" ? machine : machine.name, attributes, signal);
    return { machine_id: (await session.facts(signal)).machineId };
  }

  async renameMachine(from: string, to: string, signal?: AbortSignal): Promise<void> {
    const hosts = this.#directory.hosts().filter(({ machines }) => machines.includes(from) || machines.includes(to));
    for (const host of hosts) await (await this.#sessions.find(host, signal))?.renameMachine(from, to, signal);
    this.#directory.rename(from, to);
  }

  async destroyMachine(machine: MachineRef, signal?: AbortSignal): Promise<void> {
    for (const host of this.#hostsWith(machine)) {
      const session = await this.#sessions.find(host, signal);
      // Without a session there may still be a part of an upload.
      await session?.destroyMachine(machine, signal);
      await this.#artifacts.remove(host, signal);
    }
  }

  /** A name alone is all machines of it. */
  #hostsWith(machine: MachineRef): readonly KnownHost[] {
    if (typeof machine !== "string") return [this.#directory.hostOf(machine)];
    return this.#directory.hosts().filter(({ machines }) => machines.includes(machine));
  }

  async startUnit(...[machine, unit, signal]: Parameters<Provider["startUnit"]>): ReturnType<Provider["startUnit"]> {
    const { session, artifact } = await this.#artifacts.session(this.#directory.hostOf(machine), signal);
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
    await (await this.#sessions.find(this.#directory.hostOf(machine), signal))?.stopUnit(
      machine,
      unit,
      graceMs,
      signal,
    );
  }

  /** With haplan's present programs: an earlier version has no faults. */
  async disturbUnit(...[machine, unit, fault]: Parameters<Provider["disturbUnit"]>): Promise<void> {
    const { session } = await this.#artifacts.session(this.#directory.hostOf(machine), undefined);
    await session.disturbUnit(machine, unit, fault);
  }

  async restoreData(...given: Parameters<Provider["restoreData"]>): Promise<void> {
    await this.#data.restore(...given);
  }

  async readData(...given: Parameters<Provider["readData"]>): Promise<string> {
    return await this.#data.read(...given);
  }

  async exportData(...given: Parameters<Provider["exportData"]>): Promise<void> {
    await this.#data.export(...given);
  }

  async removeUnit(...[machine, unit, signal]: Parameters<Provider["removeUnit"]>): Promise<void> {
    await (await this.#sessions.find(this.#directory.hostOf(machine), signal))?.removeUnit(machine, unit, signal);
  }

  async unitLog(...[machine, unit, lines, signal]: Parameters<Provider["unitLog"]>): Promise<string> {
    return await (await this.#sessionOf(machine, signal)).unitLog(machine, unit, lines, signal);
  }

  async *logs(...[machine, request, signal]: Parameters<Provider["logs"]>): AsyncGenerator<LogEvent> {
    const host = this.#directory.hostOf(machine);
    yield* hostLogs(await this.#sessions.request(host, undefined), machine, request, signal);
  }

  async shell(machine: MachineRef, request: ShellRequest): Promise<ShellProcess> {
    const host = this.#directory.hostOf(machine);
    const { files } = await this.#sessions.reach(host, undefined);
    return { file: "ssh", arguments: shellArguments(host.target, files, request), directory: null };
  }

  async askUnit(...[machine, unit, socket, question, signal]: Parameters<Provider["askUnit"]>): Promise<string | null> {
    return await (await this.#sessionOf(machine, signal)).askUnit(machine, unit, socket, question, signal);
  }

  async answersLocally(...[machine, unit, url, signal]: Parameters<Provider["answersLocally"]>): Promise<boolean> {
    return await (await this.#sessionOf(machine, signal)).answersLocally(machine, unit, url, signal);
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
    await this.#sessions.close();
  }

  async #onEach(
    call: string,
    hosts: readonly KnownHost[],
    signal: AbortSignal | undefined,
    work: (host: KnownHost, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    await onEachHost(this.#options.calls, { call, hosts, signal }, work);
  }

  async #sessionOf(machine: MachineRef, signal: AbortSignal | undefined): Promise<HostClient> {
    return await this.#sessions.get(this.#directory.hostOf(machine), signal);
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

/** Two sessions with one host find the same machines. */
function onceEach(machines: readonly ObservedMachine[]): readonly ObservedMachine[] {
  return [...new Map(machines.map((each) => [`${each.name}@${each.generation} ${each.lineage}`, each])).values()];
}

function isStop(error: unknown): boolean {
  return error instanceof HaplanError && error.code === "provider/aborted";
}
