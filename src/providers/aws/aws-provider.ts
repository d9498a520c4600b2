/**
 * The provider whose machines are EC2 instances. This side creates, finds and removes them and what they need; everything
 * that happens on an instance is the same as on any host over ssh.
 */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { LabeledObject, ObservedMachine, UnreachableMachine } from "../../plan/observed-cluster.ts";
import type { Attributes } from "../../plan/resource.ts";
import type { StateResource } from "../../plan/state.ts";
import { machineHosts } from "../../spec/machine-hosts.ts";
import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import { CurrentWaits } from "../current-waits.ts";
import type { MachineCalls } from "../machine-calls.ts";
import type {
  CheckReport,
  FoundMachines,
  HostFailure,
  LeftoverRequest,
  MachineChange,
  MachineRef,
  NewMachine,
  OtherPlace,
  PreflightRequest,
  Provider,
  RemovalRequest,
} from "../provider.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { createHosts, type Hosts } from "../ssh/ssh-provider.ts";
import { AwsClient } from "./aws-client.ts";
import type { AwsContext } from "./aws-context.ts";
import { awsLimits, awsModel } from "./aws-model.ts";
import { type AwsReport, checkAws } from "./check-aws.ts";
import { checkRemoval } from "./check-removal.ts";
import { ensureInstance } from "./create-instance.ts";
import { deleteVolumes, findVolumesById } from "./data-volumes.ts";
import { findDown, observedDown } from "./down-machines.ts";
import { factsOf } from "./instance-facts.ts";
import { InstanceHosts } from "./instance-hosts.ts";
import { InstanceIds } from "./instance-ids.ts";
import { updateTags } from "./instance-tags.ts";
import { type FoundInstance, findImpaired, isAlive, terminateInstances, untilRunning } from "./instances.ts";
import { KeptMachines } from "./kept-machines.ts";
import { largerVolumes } from "./larger-volumes.ts";
import { leftVolumes } from "./left-volumes.ts";
import { MachineInstances, type MachineQuery } from "./machine-instances.ts";
import { NetworkLoadBalancer } from "./network-load-balancer.ts";
import { observedAttributes } from "./observed-attributes.ts";
import { findOtherPlace } from "./other-place.ts";
import { inOtherWords } from "./other-words.ts";
import { OwnLineage } from "./own-lineage.ts";
import { ownVolumeIds } from "./own-volumes.ts";
import { RecordedMachines, reachWith } from "./recorded-machines.ts";
import { renameVolumes } from "./renamed-volumes.ts";
import { type FoundGroup, findGroups } from "./security-groups.ts";
import { checkSessionManager, sessionManagerRoute } from "./session-manager.ts";
import { SharedObjects } from "./shared-objects.ts";
import { copyWarnings, refuseAlike, type ToldApart } from "./told-apart.ts";
import { dataDeviceName } from "./user-data.ts";
import { wantedInstance } from "./wanted-instance.ts";

type Options = ProviderOptions & { readonly calls: MachineCalls };

type OpenHosts = (options: Options, ids: InstanceIds) => Promise<Hosts>;

const hostsOverSsh: OpenHosts = (options, ids) =>
  createHosts(options, awsModel, sessionManagerRoute(options.spec.provider, ids));

/** `openHosts` opens what runs on the instances. */
export async function createAwsProvider(options: Options, openHosts: OpenHosts = hostsOverSsh): Promise<Provider> {
  const { spec, clock, log } = options;
  const waits = new CurrentWaits();
  const context: AwsContext = { client: new AwsClient(options), spec, clock, log, waits, own: new OwnLineage() };
  const recorded = await options.recorded();
  const ids = new InstanceIds(recorded);
  return new AwsProvider(context, new RecordedMachines(recorded), { hosts: await openHosts(options, ids), ids });
}

class AwsProvider implements Provider {
  readonly model = awsModel;
  readonly limits: Provider["limits"];
  readonly cloudLoadBalancer: NetworkLoadBalancer;
  readonly #context: AwsContext;
  readonly #hosts: Hosts;
  readonly #instanceHosts: InstanceHosts;
  readonly #recorded: RecordedMachines;
  readonly #shared: SharedObjects;
  readonly #kept: KeptMachines;
  readonly #instances: MachineInstances;
  /** Whether AWS was looked at, and has nothing of the cluster. */
  #foundNone = false;

  constructor(
    context: AwsContext,
    recorded: RecordedMachines,
    { hosts, ids }: { readonly hosts: Hosts; readonly ids: InstanceIds },
  ) {
    this.#context = context;
    this.#recorded = recorded;
    this.#hosts = hosts;
    this.#instanceHosts = new InstanceHosts(context, hosts, ids);
    this.#instances = new MachineInstances(context, recorded, ids);
    this.#shared = new SharedObjects(context, this.#instances);
    this.#kept = new KeptMachines({
      ...{ context, recorded, hosts },
      shared: this.#shared,
      instanceHosts: this.#instanceHosts,
    });
    this.limits = awsLimits(context.spec);
    this.cloudLoadBalancer = new NetworkLoadBalancer(context, this.#shared);
  }

  async otherPlace(resources: readonly StateResource[], signal?: AbortSignal): Promise<OtherPlace | null> {
    return await findOtherPlace(this.#context, resources, this.#foundNone, signal);
  }

  claim(lineage: string): void {
    this.#instances.setLineage(lineage);
    this.#context.own.claim(lineage);
  }

  async observe(lineage: string | null, names: readonly string[], signal?: AbortSignal): Promise<FoundMachines> {
    const known = [...new Set([...names, ...this.#recorded.all().map(({ name }) => name)])];
    this.#instances.setLineage(lineage);
    let apart: ToldApart;
    let groups: Awaited<ReturnType<typeof findGroups>>;
    let volumes: Awaited<ReturnType<typeof findVolumesById>>;
    try {
      [apart, groups] = await Promise.all([this.#instances.find({}, signal), findGroups(this.#context, signal)]);
      const ids = apart.machines.flatMap((instance) => instance.volumes.get(dataDeviceName) ?? []);
      volumes = await findVolumesById(this.#context, ids, signal);
    } catch (error) {
      // An instance that cannot be described is not gone.
      // Before the first apply there is nothing that could be unreachable: one error says it all.
      if (signal?.aborted || !(error instanceof HaplanError) || lineage === null) throw error;
      this.#hosts.setAbsent(new Set(known));
      const reason = errorText(error).replace(/\.$/, "");
      const asFirst = `AWS does not tell, for the same reason as of ${known[0]}`;
      return { machines: [], unreachable: known.map((name, at) => ({ name, reason: at === 0 ? reason : asFirst })) };
    }
    const found = apart.machines.filter(isAlive);
    const isOf = (each: FoundInstance): boolean => each.lineage === lineage || names.includes(each.machine);
    refuseAlike(apart.alike.filter((alike) => alike.some(isOf)));
    this.#foundNone = [...found, ...apart.copies, ...groups].every((each) => each.lineage !== lineage);
    const own = found.filter(isOf);
    const running = new Set(own.filter(({ state }) => state === "running").map(({ machine }) => machine));
    this.#hosts.setAbsent(new Set(known.filter((name) => !running.has(name))));
    const onHosts = await this.#hosts.observe(
      lineage,
      names.filter((name) => running.has(name)),
      signal,
    );
    const attributesOf = (instance: FoundInstance): Attributes =>
      observedAttributes(
        this.#context.spec,
        instance,
        groups.filter((group) => group.lineage === instance.lineage),
        {
          present: volumes.get(instance.volumes.get(dataDeviceName) ?? ""),
          recorded: this.#recorded.volumeOf(instance.machine, instance.generation),
        },
      );
    const machines = onHosts.machines.flatMap((machine): ObservedMachine[] => {
      const instance = instanceOf(own, machine);
      // Each machine once: a second one of its name and generation would be taken for a former one, and removed.
      return instance?.state !== "running" ? [] : [{ ...machine, attributes: attributesOf(instance) }];
    });
    const answered = new Set([...onHosts.machines, ...onHosts.unreachable].map(({ name }) => name));
    const down = await findDown(this.#context, this.#recorded, { lineage, own, answered }, signal);
    this.#kept.setDown(down);
    const observed = [...machines, ...down.map((machine) => observedDown(machine, attributesOf))];
    return {
      machines: await Promise.all(observed.map((machine) => this.#inOtherWords(machine, own, signal))),
      unreachable: await this.#withStatus(onHosts.unreachable, own, signal),
      labeled: labeledObjects([...found, ...apart.copies], groups),
      warnings: [
        ...copyWarnings({ ...apart, copies: apart.copies.filter((copy) => copy.lineage === lineage) }),
        ...largerVolumes(this.#context.spec, this.#recorded, own, volumes),
        ...(await leftVolumes(this.#context, this.#recorded, { lineage, instances: own }, signal)),
      ],
    };
  }

  async #inOtherWords(
    machine: ObservedMachine,
    instances: readonly FoundInstance[],
    signal: AbortSignal | undefined,
  ): Promise<ObservedMachine> {
    const instance = instanceOf(instances, machine);
    if (instance === undefined) return machine;
    const parts = { context: this.#context, recorded: this.#recorded, shared: this.#shared };
    const found = await inOtherWords(parts, instance, signal);
    return Object.keys(found).length === 0 ? machine : { ...machine, inOtherWords: found };
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

  waitsFor(subject: string): string | null {
    return this.#context.waits.of(subject);
  }

  observeOrphans(signal?: AbortSignal): ReturnType<Provider["observeOrphans"]> {
    return this.#hosts.observeOrphans(signal);
  }

  async preflight(request: PreflightRequest, signal?: AbortSignal): Promise<readonly Diagnostic[]> {
    const found = await this.#findAliveIfAny(signal);
    const existing = onExisting(request, found);
    const { diagnostics: own } = await this.#checkOwn(request, found, signal);
    return [...own, ...(existing === null ? [] : await this.#hosts.preflight(existing, signal))];
  }

  async checkRemoval(request: RemovalRequest, signal?: AbortSignal): Promise<readonly Diagnostic[]> {
    return await checkRemoval(this.#context, this.#instances, request, signal);
  }

  async check(request: PreflightRequest, signal?: AbortSignal): Promise<CheckReport> {
    const found = await this.#findAliveIfAny(signal);
    const existing = onExisting(request, found);
    const own = await this.#checkOwn(request, found, signal);
    const report = existing === null ? { hosts: [], diagnostics: [] } : await this.#hosts.check(existing, signal);
    return { ...report, besides: own.checked, diagnostics: [...own.diagnostics, ...report.diagnostics] };
  }

  async #checkOwn(
    request: PreflightRequest,
    instances: readonly FoundInstance[],
    signal?: AbortSignal,
  ): Promise<AwsReport> {
    const tools = checkSessionManager(this.#context.spec.provider);
    const { diagnostics, checked } = await checkAws(
      this.#context,
      request,
      { recorded: this.#recorded.all(), instances },
      signal,
    );
    return { diagnostics: [...tools, ...diagnostics], checked };
  }

  /** None where AWS does not answer, which is reported elsewhere. */
  async #findAliveIfAny(signal?: AbortSignal): Promise<readonly FoundInstance[]> {
    return await this.#instances.findAlive({}, signal).catch((error: unknown) => {
      if (signal?.aborted || !(error instanceof HaplanError)) throw error;
      return [];
    });
  }

  async createMachine({ attributes = {}, ...machine }: NewMachine, signal?: AbortSignal): Promise<Attributes> {
    const { name, generation } = machine;
    await this.#assertFree(machine, signal);
    const parts = { context: this.#context, recorded: this.#recorded, shared: this.#shared };
    const wanted = await wantedInstance(parts, { ...machine, address: machine.address ?? "" }, attributes, signal);
    const instance = await ensureInstance(this.#context, { ...wanted, volumeId: null }, signal);
    const running = await untilRunning(this.#context, instance, signal);
    const facts = await this.#instanceHosts.prepare(running, attributes, signal);
    const reach = reachWith(facts, attributes);
    const onHost = await this.#context.waits.during(name, async (report) => {
      report(`installing haplan on ${name}`);
      return await this.#hosts.createMachine({ ...machine, attributes: reach }, signal);
    });
    const created = { ...factsOf(running, attributes), ...facts, ...onHost };
    this.#recorded.add({ name, generation, attributes: { ...attributes, ...created } });
    return created;
  }

  /** @throws HaplanError `provider/machine-taken` */
  async #assertFree({ name, lineage, generation, beside }: NewMachine, signal?: AbortSignal): Promise<void> {
    const found = await this.#instances.findAlive({ machine: name }, signal);
    const other = found.find(
      (each) => each.lineage !== lineage || (each.generation !== generation && each.generation !== beside),
    );
    if (other === undefined) return;
    const another = `another cluster of the name ${this.#context.spec.name}, lineage ${other.lineage}`;
    const whose = other.lineage === lineage ? `generation ${other.generation}` : another;
    throw new HaplanError("provider/machine-taken", `The instance ${other.id} is ${name} already, of ${whose}`);
  }

  async updateMachine(machine: MachineRef, change: MachineChange, signal?: AbortSignal): Promise<Attributes> {
    const find = (): Promise<FoundInstance> => this.#instanceOf(machine, signal);
    return await this.#kept.update(machine, change, find, signal);
  }

  /** @throws HaplanError `provider/no-machine` */
  async #instanceOf(machine: MachineRef, signal?: AbortSignal): Promise<FoundInstance> {
    const found = (await this.#instances.findAlive(queryOf(machine), signal)).filter((each) =>
      this.#context.own.has(each),
    );
    const [instance] = [...found].sort((a, b) => b.generation - a.generation);
    const name = nameOf(machine);
    if (instance === undefined) {
      const advice = `It was terminated after the plan was made. Run apply again, without a saved plan: the next plan creates it anew, and ${name} keeps its data volume if it has one`;
      throw new HaplanError("provider/no-machine", `There is no instance of ${name}\n${advice}`);
    }
    return instance;
  }

  async renameMachine(from: string, to: string, signal?: AbortSignal): Promise<void> {
    const found = (await this.#instances.findAlive({}, signal)).filter((each) => this.#context.own.has(each));
    await renameVolumes(this.#context, this.#recorded, { from, to }, signal);
    for (const instance of found.filter(({ machine }) => machine === from))
      await updateTags(this.#context, { ...instance, machine: to }, this.#dataVolumeOf(instance), signal);
    await this.#hosts.renameMachine(from, to, signal);
    this.#recorded.rename(from, to);
    this.#kept.rename(from, to);
  }

  async destroyMachine(machine: MachineRef, signal?: AbortSignal): Promise<void> {
    const query = queryOf(machine);
    const { machines, alike } = await this.#instances.find(query, signal);
    const found = machines.filter((each) => this.#context.own.has(each));
    refuseAlike(alike.filter((group) => group.some((each) => found.includes(each))));
    // A terminated instance has no devices any more.
    const recorded = this.#recorded.volumesOf(nameOf(machine), query.generation);
    const own = new Set([...recorded, ...found.flatMap((each) => ownVolumeIds(each, this.#dataVolumeOf(each)))]);
    const attached = found.flatMap(({ volumes }) => [...volumes.values()]);
    const others = new Set(attached.filter((id) => !own.has(id)));
    await terminateInstances(
      this.#context,
      found.filter(({ state }) => state !== "terminated"),
      signal,
    );
    await this.#hosts.forget(machine);
    await deleteVolumes(this.#context, { machine: query, recorded, own, others }, signal);
    await this.#shared.removeUnused(nameOf(machine), signal);
  }

  #dataVolumeOf({ machine, generation, volumes }: FoundInstance): string | null {
    return this.#recorded.volumeOf(machine, generation) ?? volumes.get(dataDeviceName) ?? null;
  }

  async startUnit(...[machine, unit, signal]: Parameters<Provider["startUnit"]>): ReturnType<Provider["startUnit"]> {
    await this.#kept.bringBack(nameOf(machine), null, signal);
    return await this.#hosts.startUnit(machine, unit, signal);
  }

  artifact: Provider["artifact"] = (...given) => this.#hosts.artifact(...given);
  revertUnit: Provider["revertUnit"] = (...given) => this.#hosts.revertUnit(...given);
  removeUnit: Provider["removeUnit"] = (...given) => this.#hosts.removeUnit(...given);
  unitLog: Provider["unitLog"] = (...given) => this.#hosts.unitLog(...given);
  logs: Provider["logs"] = (...given) => this.#hosts.logs(...given);
  shell: Provider["shell"] = (...given) => this.#hosts.shell(...given);
  readUnitFile: Provider["readUnitFile"] = (...given) => this.#hosts.readUnitFile(...given);
  answersLocally: Provider["answersLocally"] = (...given) => this.#hosts.answersLocally(...given);
  askUnit: Provider["askUnit"] = (...given) => this.#hosts.askUnit(...given);
  disturbUnit: Provider["disturbUnit"] = (...given) => this.#hosts.disturbUnit(...given);
  readData: Provider["readData"] = (...given) => this.#hosts.readData(...given);
  exportData: Provider["exportData"] = (...given) => this.#hosts.exportData(...given);
  restoreData: Provider["restoreData"] = (...given) => this.#hosts.restoreData(...given);
  async lock(...[run, options, signal]: Parameters<Provider["lock"]>): Promise<void> {
    await this.#findRunning(signal);
    await this.#hosts.lock(run, options, signal);
  }
  prepare: Provider["prepare"] = (...given) => this.#hosts.prepare(...given);
  async reinstall(signal?: AbortSignal): Promise<readonly string[]> {
    await this.#findRunning(signal);
    return await this.#hosts.reinstall(signal);
  }
  /** Finds which instances there are to be asked. `observe` reports AWS if it does not answer. */
  async #findRunning(signal?: AbortSignal): Promise<void> {
    const found = await this.#findAliveIfAny(signal);
    const running = new Set(found.filter(({ state }) => state === "running").map(({ machine }) => machine));
    const described = machineHosts(this.#context.spec, []);
    const known = [...described, ...this.#recorded.all()].map(({ name }) => name);
    this.#hosts.setAbsent(new Set(known.filter((name) => !running.has(name))));
  }

  /**
   * Hosts end with their machines, and the next apply finds what an interrupted creation has left. An interrupted destroy may have
   * removed the machines and the load balancer, and not what belonged to them.
   */
  async removeLeftovers({ begun, everywhere }: LeftoverRequest, signal?: AbortSignal): Promise<readonly HostFailure[]> {
    if (!everywhere) return [];
    for (const { name, generation } of begun) await this.destroyMachine({ name, generation }, signal);
    await this.cloudLoadBalancer.remove(loadBalancerName, false, signal);
    return [];
  }
  runTask: Provider["runTask"] = (...given) => this.#hosts.runTask(...given);
  startTask: Provider["startTask"] = (...given) => this.#hosts.startTask(...given);
  taskReport: Provider["taskReport"] = (...given) => this.#hosts.taskReport(...given);

  /** On a machine that is down, nothing runs. */
  async stopUnit(...[machine, unit, graceMs, signal]: Parameters<Provider["stopUnit"]>): Promise<void> {
    if (this.#kept.isDown(nameOf(machine))) return;
    await this.#hosts.stopUnit(machine, unit, graceMs, signal);
  }

  async close(): Promise<void> {
    await this.#hosts.close();
    await this.#context.client.close();
  }
}

/** The part of a request whose machines run; null if none does. */
function onExisting(request: PreflightRequest, found: readonly FoundInstance[]): PreflightRequest | null {
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

function nameOf(machine: MachineRef): string {
  return typeof machine === "string" ? machine : machine.name;
}

function queryOf(machine: MachineRef): MachineQuery {
  return typeof machine === "string" ? { machine } : { machine: machine.name, generation: machine.generation };
}

/** What has the name of the cluster, whichever cluster that is. */
function labeledObjects(instances: readonly FoundInstance[], groups: readonly FoundGroup[]): readonly LabeledObject[] {
  return [
    ...instances.map(({ id, machine, lineage }) => ({ what: `the instance ${id} (${machine})`, lineage })),
    ...groups.flatMap(({ id, name, lineage }) =>
      lineage === null ? [] : [{ what: `the security group ${id} (${name})`, lineage }],
    ),
  ];
}

function instanceOf(
  instances: readonly FoundInstance[],
  { name, generation, lineage }: Pick<ObservedMachine, "name" | "generation" | "lineage">,
): FoundInstance | undefined {
  return instances.find((each) => each.machine === name && each.generation === generation && each.lineage === lineage);
}
