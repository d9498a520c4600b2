/**
 * The provider whose machines are EC2 instances. This side creates, finds and removes them and what they need; everything
 * that happens on an instance is the same as on any host over ssh.
 */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { ObservedMachine, UnreachableMachine } from "../../plan/observed-cluster.ts";
import type { Attributes } from "../../plan/resource.ts";
import { machineHosts } from "../../spec/machine-hosts.ts";
import { CurrentWaits } from "../current-waits.ts";
import type { MachineCalls } from "../machine-calls.ts";
import type {
  CheckReport,
  FoundMachines,
  MachineIdentity,
  MachineRef,
  NewMachine,
  PreflightRequest,
  Provider,
} from "../provider.ts";
import type { ProviderOptions, RecordedMachine } from "../provider-options.ts";
import { createHosts, type Hosts } from "../ssh/ssh-provider.ts";
import { AwsClient } from "./aws-client.ts";
import type { AwsContext } from "./aws-context.ts";
import { awsLimits, awsModel } from "./aws-model.ts";
import { findBalancer } from "./balancer-objects.ts";
import { checkAws } from "./check-aws.ts";
import { deleteVolumes, findUsable, modifyVolume } from "./data-volumes.ts";
import { readHostKey } from "./host-key.ts";
import { updateTags } from "./instance-tags.ts";
import {
  ensureInstance,
  type FoundInstance,
  findImpaired,
  findInstances,
  type InstanceQuery,
  isAlive,
  type NewInstance,
  startInstance,
  terminateInstances,
  untilRunning,
} from "./instances.ts";
import { ensureKept, isLike } from "./kept-volume.ts";
import { resolveImage } from "./machine-image.ts";
import { findNetwork, type Network, subnetOf } from "./network.ts";
import { NetworkLoadBalancer } from "./network-load-balancer.ts";
import { observedAttributes } from "./observed-attributes.ts";
import { ensurePlacementGroup, removePlacementGroups } from "./placement-groups.ts";
import { ensureGroups, findGroups, type GroupIds, removeGroups } from "./security-groups.ts";
import { dataDeviceName, growFileSystem, isPrepared } from "./user-data.ts";

type Options = ProviderOptions & { readonly calls: MachineCalls };

/** `openHosts` opens what runs on the instances. */
export async function createAwsProvider(
  options: Options,
  openHosts: (options: Options) => Promise<Hosts> = (given) => createHosts(given, awsModel),
): Promise<Provider> {
  const { spec, clock, log } = options;
  const waits = new CurrentWaits();
  const context: AwsContext = { client: new AwsClient(options), spec, clock, log, waits };
  const recorded = await options.recorded();
  return new AwsProvider(context, recorded, await openHosts(options));
}

class AwsProvider implements Provider {
  readonly model = awsModel;
  readonly limits: Provider["limits"];
  readonly cloudLoadBalancer: NetworkLoadBalancer;
  readonly #context: AwsContext;
  readonly #hosts: Hosts;
  /** The state's machines at the start of the run, and those that were created since. */
  readonly #recorded: RecordedMachine[];
  /** Machines on whose instance nothing runs, or that have none. They are brought back by the first call that needs them. */
  readonly #down: Map<string, DownMachine> = new Map();
  #network: Promise<Network> | null = null;
  #groups: Promise<GroupIds> | null = null;
  #removing: Promise<void> = Promise.resolve();

  constructor(context: AwsContext, recorded: readonly RecordedMachine[], hosts: Hosts) {
    this.#context = context;
    this.#recorded = [...recorded];
    this.#hosts = hosts;
    this.limits = awsLimits(context.spec);
    this.cloudLoadBalancer = new NetworkLoadBalancer(context, {
      removeUnused: (subject, signal) => this.#removeUnused(subject, signal),
    });
  }

  async observe(lineage: string | null, names: readonly string[], signal?: AbortSignal): Promise<FoundMachines> {
    const known = [...new Set([...names, ...this.#recorded.map(({ name }) => name)])];
    let found: readonly FoundInstance[];
    let groups: Awaited<ReturnType<typeof findGroups>>;
    try {
      [found, groups] = await Promise.all([this.#findAlive(signal), findGroups(this.#context, signal)]);
    } catch (error) {
      // An instance that cannot be described is not gone.
      if (signal?.aborted || !(error instanceof HaplanError)) throw error;
      this.#hosts.setAbsent(new Set(known));
      const reason = errorText(error).replace(/\.$/, "");
      return { machines: [], unreachable: known.map((name) => ({ name, reason })) };
    }
    const own = found.filter(({ machine, ...instance }) => instance.lineage === lineage || names.includes(machine));
    const running = new Set(own.filter(({ state }) => state === "running").map(({ machine }) => machine));
    this.#hosts.setAbsent(new Set(known.filter((name) => !running.has(name))));
    const onHosts = await this.#hosts.observe(
      lineage,
      names.filter((name) => running.has(name)),
      signal,
    );
    const attributesOf = (instance: FoundInstance): Attributes =>
      observedAttributes(this.#context.spec, instance, groups);
    const machines = onHosts.machines.flatMap((machine): ObservedMachine[] => {
      const instance = instanceOf(own, machine);
      // Each machine once: a second one of its name and generation would be taken for a former one, and removed.
      return instance?.state !== "running" ? [] : [{ ...machine, attributes: attributesOf(instance) }];
    });
    this.#down.clear();
    const answered = new Set([...onHosts.machines, ...onHosts.unreachable].map(({ name }) => name));
    for (const machine of await this.#findDown(lineage, own, answered, signal)) this.#down.set(machine.name, machine);
    const down = [...this.#down.values()].map((machine) => observedDown(machine, attributesOf));
    return {
      machines: [...machines, ...down],
      unreachable: await this.#withStatus(onHosts.unreachable, own, signal),
    };
  }

  /**
   * Machines that an apply has completed, or found, and that do not run: their instance is stopped, has not got their volume back, or
   * is gone while the volume is there. What is pending has nothing yet: creating its machine adopts it.
   */
  async #findDown(
    lineage: string | null,
    own: readonly FoundInstance[],
    answered: ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ): Promise<readonly DownMachine[]> {
    const found: DownMachine[] = [];
    const withoutInstance: (DownMachine & { readonly volumeId: string })[] = [];
    for (const instance of own) {
      const { machine: name, generation, address, zone } = instance;
      const isStopped = instance.state === "stopped" || instance.state === "stopping";
      const isEmpty = instance.state === "running" && this.#recordedVolume(name, generation) !== null;
      if (!answered.has(name) && (isStopped || isEmpty))
        found.push({ name, generation, address, zone, lineage: instance.lineage, instance });
    }
    for (const { name, generation, attributes, leftBehind = false } of this.#recorded) {
      const volumeId = this.#recordedVolume(name, generation);
      const exists = own.some((instance) => instance.machine === name && instance.generation === generation);
      if (exists || leftBehind || volumeId === null || lineage === null) continue;
      const zone = attributes["availability_zone"];
      withoutInstance.push({
        ...{ name, generation, address: String(attributes["address"]), lineage, instance: null, volumeId },
        zone: typeof zone === "string" ? zone : null,
      });
    }
    const ids = withoutInstance.map(({ volumeId }) => volumeId);
    const usable = await findUsable(this.#context, ids, signal);
    return [...found, ...withoutInstance.filter(({ volumeId }) => usable.has(volumeId))];
  }

  /** The data volume of a machine in the state. */
  #recordedVolume(name: string, generation: number): string | null {
    const machine = this.#recorded.findLast((each) => each.name === name && each.generation === generation);
    const id = machine?.attributes["volume_id"];
    return typeof id === "string" ? id : null;
  }

  /** AWS may know why an instance does not answer. */
  async #withStatus(
    unreachable: readonly UnreachableMachine[],
    instances: readonly FoundInstance[],
    signal: AbortSignal | undefined,
  ): Promise<readonly UnreachableMachine[]> {
    const idOf = (name: string): string | undefined => instances.find(({ machine }) => machine === name)?.id;
    const ids = unreachable.flatMap(({ name }) => idOf(name) ?? []);
    const impaired = await findImpaired(this.#context, ids, signal).catch(() => new Map<string, string>());
    return unreachable.map((machine) => {
      const why = impaired.get(idOf(machine.name) ?? "");
      return why === undefined ? machine : { ...machine, reason: `${machine.reason}; ${why}` };
    });
  }

  async #findAlive(signal?: AbortSignal, query: InstanceQuery = {}): Promise<readonly FoundInstance[]> {
    return (await findInstances(this.#context, query, signal)).filter(isAlive);
  }

  waitsFor(subject: string): string | null {
    return this.#context.waits.of(subject);
  }

  observeOrphans(signal?: AbortSignal): ReturnType<Provider["observeOrphans"]> {
    return this.#hosts.observeOrphans(signal);
  }

  async preflight(request: PreflightRequest, signal?: AbortSignal): Promise<readonly Diagnostic[]> {
    const existing = await this.#onExisting(request, signal);
    const own = await checkAws(this.#context, request, this.#recorded, signal);
    return [...own, ...(existing === null ? [] : await this.#hosts.preflight(existing, signal))];
  }

  async check(request: PreflightRequest, signal?: AbortSignal): Promise<CheckReport> {
    const existing = await this.#onExisting(request, signal);
    const own = await checkAws(this.#context, request, this.#recorded, signal);
    const report = existing === null ? { hosts: [], diagnostics: [] } : await this.#hosts.check(existing, signal);
    return { ...report, diagnostics: [...own, ...report.diagnostics] };
  }

  /** The part of a request whose machines run; null if none does. AWS that does not answer is reported by `checkAws`. */
  async #onExisting(request: PreflightRequest, signal?: AbortSignal): Promise<PreflightRequest | null> {
    const found = await this.#findAlive(signal).catch((error: unknown) => {
      if (signal?.aborted) throw error;
      return [];
    });
    const names = new Set(found.filter(({ state }) => state === "running").map(({ machine }) => machine));
    if (names.size === 0) return null;
    return {
      ...request,
      machines: request.machines.filter(({ name }) => names.has(name)),
      units: request.units.filter(({ machine }) => names.has(machine)),
      space: request.space.filter(({ machine }) => names.has(machine)),
      // A security group lets nothing in before both ends exist.
      network: request.network.filter(({ from, to }) => names.has(to) && (from === null || names.has(from))),
    };
  }

  async createMachine({ attributes = {}, ...machine }: NewMachine, signal?: AbortSignal): Promise<Attributes> {
    const { name, generation } = machine;
    await this.#assertFree(machine, signal);
    const wanted = await this.#wantedInstance({ ...machine, address: machine.address ?? "" }, attributes, signal);
    const instance = await ensureInstance(this.#context, { ...wanted, volumeId: null }, signal);
    const running = await untilRunning(this.#context, instance, signal);
    const facts = await this.#prepareHost(running, attributes, signal);
    const reach = facts["host_key"] === undefined ? attributes : { ssh_host_key: facts["host_key"], ...attributes };
    const onHost = await this.#context.waits.during(name, async (report) => {
      report(`installing haplan on ${name}`);
      return await this.#hosts.createMachine({ ...machine, attributes: reach }, signal);
    });
    const created = { ...factsOf(running), ...facts, ...onHost };
    this.#recorded.push({ name, generation, attributes: { ...attributes, ...created } });
    return created;
  }

  /** What an instance of the machine needs, created where it is missing. */
  async #wantedInstance(
    { name, address, zone, lineage, generation }: MachineIdentity,
    attributes: Attributes,
    signal?: AbortSignal,
  ): Promise<Omit<NewInstance, "volumeId">> {
    const network = await this.#findNetwork(signal);
    const subnet = subnetOf(network, { name, address, zone });
    const groups = await this.#ensureGroups(lineage, network, signal);
    const group = attributes["placement_group"];
    if (typeof group === "string") await ensurePlacementGroup(this.#context, lineage, group, signal);
    const ami = await resolveImage(this.#context, String(attributes["image"]), this.#recorded, signal);
    const groupId = attributes["volume_size"] === undefined ? groups.workers : groups.masters;
    return { machine: name, lineage, generation, address, subnetId: subnet.id, ami, groupId, attributes };
  }

  /** Learns the host key, and waits until the instance is reached and its data volume is mounted. */
  async #prepareHost(instance: FoundInstance, attributes: Attributes, signal?: AbortSignal): Promise<Attributes> {
    const facts = await this.#hostKey(instance, attributes, signal);
    const reach = facts.host_key === undefined ? attributes : { ssh_host_key: facts.host_key, ...attributes };
    const command = attributes["volume_size"] === undefined ? "true" : isPrepared;
    await this.#untilReady(instance.machine, reach, command, signal);
    return facts;
  }

  /** The key of a new instance, unless the spec says where it is known from. */
  async #hostKey(
    instance: FoundInstance,
    attributes: Attributes,
    signal?: AbortSignal,
  ): Promise<{ readonly host_key?: string }> {
    const isPinned = attributes["ssh_host_key"] !== undefined;
    if (this.#context.spec.provider["hostKeyFrom"] !== "console" || isPinned) return {};
    return { host_key: await readHostKey(this.#context, instance, signal) };
  }

  async #untilReady(name: string, reach: Attributes, command: string, signal?: AbortSignal): Promise<void> {
    await this.#context.waits.during(name, async (report) => {
      const told = (why: string): void => report(`waiting for ssh to ${name}: ${why}`);
      await this.#hosts.untilReady(name, reach, command, told, signal);
    });
  }

  /** @throws HaplanError `provider/machine-taken` */
  async #assertFree({ name, lineage, generation, beside }: NewMachine, signal?: AbortSignal): Promise<void> {
    const found = await this.#findAlive(signal, { machine: name });
    const other = found.find(
      (each) => each.lineage !== lineage || (each.generation !== generation && each.generation !== beside),
    );
    if (other === undefined) return;
    const whose = other.lineage === lineage ? `generation ${other.generation}` : "another cluster of this name";
    throw new HaplanError("provider/machine-taken", `The instance ${other.id} is ${name} already, of ${whose}`);
  }

  #findNetwork(signal?: AbortSignal): Promise<Network> {
    this.#network ??= findNetwork(this.#context, signal);
    this.#network.catch(() => {
      this.#network = null;
    });
    return this.#network;
  }

  /** Once a run: several machines are created at the same time. */
  #ensureGroups(lineage: string, { vpcId }: Network, signal?: AbortSignal): Promise<GroupIds> {
    this.#groups ??= ensureGroups(this.#context, lineage, vpcId, signal);
    this.#groups.catch(() => {
      this.#groups = null;
    });
    return this.#groups;
  }

  async updateMachine(machine: MachineRef, attributes: Attributes, signal?: AbortSignal): Promise<Attributes> {
    const name = nameOf(machine);
    const before = this.#recordedOf(name);
    await this.#bringBack(name, attributes, signal);
    const instance = await this.#instanceOf(machine, signal);
    await this.#ensureGroups(instance.lineage, await this.#findNetwork(signal), signal);
    await updateTags(this.#context, instance, signal);
    const volumeId = this.#recordedVolume(name, instance.generation) ?? instance.volumes.get(dataDeviceName) ?? null;
    if (volumeId === null) {
      const onHost = await this.#hosts.updateMachine(machine, attributes, signal);
      return { ...factsOf(instance), ...this.#learnedKey(name), ...onHost };
    }
    const kept = { ...instance, name, instance };
    const facts = await this.#keep(kept, volumeId, attributes, signal);
    await this.#resizeVolume(name, volumeId, { before, attributes }, signal);
    return facts;
  }

  /** A volume that has grown has a file system that has not. */
  async #resizeVolume(
    name: string,
    volumeId: string,
    { before, attributes }: { readonly before: Attributes; readonly attributes: Attributes },
    signal?: AbortSignal,
  ): Promise<void> {
    const names = ["volume_size", "volume_iops", "volume_throughput"];
    if (names.every((each) => before[each] === undefined || before[each] === attributes[each])) return;
    await modifyVolume(this.#context, name, volumeId, attributes, signal);
    if (before["volume_size"] === attributes["volume_size"]) return;
    await this.#untilReady(name, this.#reach(name, attributes), growFileSystem, signal);
  }

  /** Brings the instance of a master that keeps its data to what is wanted: see `ensureKept`. */
  async #keep(
    machine: DownMachine,
    volumeId: string,
    attributes: Attributes,
    signal?: AbortSignal,
  ): Promise<Attributes> {
    const { name, generation, instance: former } = machine;
    const described = await this.#wantedInstance(machine, attributes, signal);
    const { image } = this.#recordedOf(name);
    const keepsImage = former !== null && (image === undefined || image === attributes["image"]);
    const wanted = { ...described, ...(keepsImage ? { ami: former.ami } : {}), volumeId };
    const isAsItWas = former !== null && former.state === "running" && isLike(former, wanted);
    if (!isAsItWas) await this.#hosts.forget(name);
    const running = await ensureKept(this.#context, wanted, signal);
    const isSame = running.id === former?.id;
    const facts = isSame ? this.#learnedKey(name) : await this.#hostKey(running, attributes, signal);
    const reach = facts.host_key === undefined ? attributes : { ssh_host_key: facts.host_key, ...attributes };
    await this.#untilReady(name, reach, isPrepared, signal);
    this.#down.delete(name);
    const onHost = await this.#hosts.updateMachine({ name, generation }, attributes, signal);
    const kept = { ...factsOf(running), volume_id: volumeId, ...facts, ...onHost };
    this.#recorded.push({ name, generation, attributes: { ...this.#recordedOf(name), ...attributes, ...kept } });
    return kept;
  }

  /** @throws HaplanError `provider/no-machine` */
  async #instanceOf(machine: MachineRef, signal?: AbortSignal): Promise<FoundInstance> {
    const found = await this.#findAlive(signal, queryOf(machine));
    const [instance] = [...found].sort((a, b) => b.generation - a.generation);
    const name = typeof machine === "string" ? machine : machine.name;
    if (instance === undefined) throw new HaplanError("provider/no-machine", `There is no instance of ${name}`);
    return instance;
  }

  /** Brings back a machine that is down; `attributes`: null for those that it had, or the spec's if its instance is gone. */
  async #bringBack(name: string, attributes: Attributes | null, signal?: AbortSignal): Promise<void> {
    const machine = this.#down.get(name);
    if (machine === undefined) return;
    const volumeId = this.#recordedVolume(name, machine.generation);
    const recorded = this.#recordedOf(name);
    if (volumeId !== null) {
      const wanted = attributes ?? (machine.instance === null ? this.#described(name) : null) ?? recorded;
      await this.#keep(machine, volumeId, wanted, signal);
      return;
    }
    if (machine.instance !== null) await startInstance(this.#context, machine.instance, signal);
    const command = machine.instance?.volumes.has(dataDeviceName) ? isPrepared : "true";
    await this.#untilReady(name, this.#reach(name, recorded), command, signal);
    this.#down.delete(name);
  }

  /** The attributes of a machine of the spec; null if the spec has none of this name. */
  #described(name: string): Attributes | null {
    const { spec } = this.#context;
    const host = machineHosts(spec, []).find((each) => each.name === name);
    return host === undefined ? null : awsModel.describeMachine(spec, host).attributes;
  }

  #recordedOf(name: string): Attributes {
    return this.#recorded.findLast((each) => each.name === name)?.attributes ?? {};
  }

  /** How the host of a machine is reached. */
  #reach(name: string, attributes: Attributes): Attributes {
    const { host_key: key } = this.#learnedKey(name);
    return key === undefined ? attributes : { ssh_host_key: key, ...attributes };
  }

  /** The host key that was read from the console when the instance was created. */
  #learnedKey(name: string): { readonly host_key?: string } {
    const key = this.#recorded.findLast((each) => each.name === name)?.attributes["host_key"];
    return typeof key === "string" ? { host_key: key } : {};
  }

  async renameMachine(from: string, to: string, signal?: AbortSignal): Promise<void> {
    const found = await this.#findAlive(signal);
    for (const instance of found.filter(({ machine }) => machine === from))
      await updateTags(this.#context, { ...instance, machine: to }, signal);
    await this.#hosts.renameMachine(from, to, signal);
  }

  async destroyMachine(machine: MachineRef, signal?: AbortSignal): Promise<void> {
    const query = queryOf(machine);
    const found = await findInstances(this.#context, query, signal);
    await terminateInstances(
      this.#context,
      found.filter(({ state }) => state !== "terminated"),
      signal,
    );
    await this.#hosts.forget(machine);
    await deleteVolumes(this.#context, query, signal);
    await this.#removeUnused(nameOf(machine), signal);
  }

  /** One after the other: machines are destroyed at the same time. */
  #removeUnused(subject: string, signal?: AbortSignal): Promise<void> {
    const removed = this.#removing.catch(() => undefined).then(() => this.#removeShared(subject, signal));
    this.#removing = removed;
    return removed;
  }

  /** Security groups and placement groups go with the last instance and the load balancer. */
  async #removeShared(subject: string, signal?: AbortSignal): Promise<void> {
    const found = await findInstances(this.#context, {}, signal);
    if (found.some(({ state }) => state !== "terminated") || (await findBalancer(this.#context, signal)) !== null)
      return;
    this.#groups = null;
    await removeGroups(this.#context, subject, signal);
    const groups = this.#recorded.flatMap(({ attributes }) => {
      const name = attributes["placement_group"];
      return typeof name === "string" ? [name] : [];
    });
    await removePlacementGroups(this.#context, new Set(groups), signal);
  }

  async startUnit(...[machine, unit, signal]: Parameters<Provider["startUnit"]>): ReturnType<Provider["startUnit"]> {
    await this.#bringBack(nameOf(machine), null, signal);
    return await this.#hosts.startUnit(machine, unit, signal);
  }

  artifact: Provider["artifact"] = (...given) => this.#hosts.artifact(...given);
  revertUnit: Provider["revertUnit"] = (...given) => this.#hosts.revertUnit(...given);
  removeUnit: Provider["removeUnit"] = (...given) => this.#hosts.removeUnit(...given);
  unitLog: Provider["unitLog"] = (...given) => this.#hosts.unitLog(...given);
  logs: Provider["logs"] = (...given) => this.#hosts.logs(...given);
  shell: Provider["shell"] = (...given) => this.#hosts.shell(...given);
  readUnitFile: Provider["readUnitFile"] = (...given) => this.#hosts.readUnitFile(...given);
  askUnit: Provider["askUnit"] = (...given) => this.#hosts.askUnit(...given);
  readData: Provider["readData"] = (...given) => this.#hosts.readData(...given);
  exportData: Provider["exportData"] = (...given) => this.#hosts.exportData(...given);
  restoreData: Provider["restoreData"] = (...given) => this.#hosts.restoreData(...given);
  async lock(...[run, options, signal]: Parameters<Provider["lock"]>): Promise<void> {
    // Which instances there are to be asked.
    await this.observe(null, [], signal);
    await this.#hosts.lock(run, options, signal);
  }
  async reinstall(signal?: AbortSignal): Promise<readonly string[]> {
    // Which instances there are to be asked.
    await this.observe(null, [], signal);
    return await this.#hosts.reinstall(signal);
  }
  /** Hosts end with their machines, and what an interrupted creation has left is found by its tags. */
  removeLeftovers: Provider["removeLeftovers"] = async () => [];
  runTask: Provider["runTask"] = (...given) => this.#hosts.runTask(...given);
  startTask: Provider["startTask"] = (...given) => this.#hosts.startTask(...given);
  taskReport: Provider["taskReport"] = (...given) => this.#hosts.taskReport(...given);

  /** On a machine that is down, nothing runs. */
  async stopUnit(...[machine, unit, graceMs, signal]: Parameters<Provider["stopUnit"]>): Promise<void> {
    if (this.#down.has(nameOf(machine))) return;
    await this.#hosts.stopUnit(machine, unit, graceMs, signal);
  }

  async close(): Promise<void> {
    await this.#hosts.close();
    await this.#context.client.close();
  }
}

/** A machine of the cluster on which nothing runs. */
type DownMachine = MachineIdentity & {
  /** Null: it is gone, and the data volume is there. */
  readonly instance: FoundInstance | null;
};

function nameOf(machine: MachineRef): string {
  return typeof machine === "string" ? machine : machine.name;
}

function queryOf(machine: MachineRef): InstanceQuery {
  return typeof machine === "string" ? { machine } : { machine: machine.name, generation: machine.generation };
}

function instanceOf(
  instances: readonly FoundInstance[],
  { name, generation }: Pick<ObservedMachine, "name" | "generation">,
): FoundInstance | undefined {
  return instances.find((each) => each.machine === name && each.generation === generation);
}

/** What creating an instance returns. */
function factsOf({ id, ami, subnetId, zone, volumes }: FoundInstance): Attributes {
  const volume = volumes.get(dataDeviceName);
  return {
    instance_id: id,
    ami,
    subnet_id: subnetId,
    availability_zone: zone,
    ...(volume === undefined ? {} : { volume_id: volume }),
  };
}

/** Its data is on its volume; nothing runs on it. */
function observedDown(
  { name, address, lineage, generation, instance }: DownMachine,
  attributesOf: (instance: FoundInstance) => Attributes,
): ObservedMachine {
  const attributes = instance === null ? { instance_state: "terminated" } : attributesOf(instance);
  return { name, address, lineage, generation, hasData: true, units: [], attributes };
}
