/** Machines that stay the same through a change, or whose instance was lost: they get what they need, and keep their data. */
import type { Attributes } from "../../plan/resource.ts";
import { machineHosts } from "../../spec/machine-hosts.ts";
import type { MachineChange, MachineRef } from "../provider.ts";
import type { Hosts } from "../ssh/ssh-provider.ts";
import { awsModel } from "./aws-model.ts";
import { modifyVolume } from "./data-volumes.ts";
import type { DownMachine } from "./down-machines.ts";
import { factsOf, hasDataVolume } from "./instance-facts.ts";
import { ensureGroup, groupOf } from "./instance-groups.ts";
import type { InstanceHosts } from "./instance-hosts.ts";
import { ensureProfile } from "./instance-profile.ts";
import { updateTags } from "./instance-tags.ts";
import { type FoundInstance, startInstance } from "./instances.ts";
import { ensureKept, type KeptMachine, unlikeIn } from "./kept-volume.ts";
import { reachWith } from "./recorded-machines.ts";
import { hasTags } from "./told-apart.ts";
import { dataDeviceName, growFileSystem, isPrepared } from "./user-data.ts";
import { type InstanceParts, wantedInstance } from "./wanted-instance.ts";

type Parts = InstanceParts & { readonly hosts: Hosts; readonly instanceHosts: InstanceHosts };

export class KeptMachines {
  readonly #parts: Parts;
  /** They are brought back by the first call that needs them. */
  readonly #down: Map<string, DownMachine> = new Map();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  setDown(machines: readonly DownMachine[]): void {
    this.#down.clear();
    for (const machine of machines) this.#down.set(machine.name, machine);
  }

  rename(from: string, to: string): void {
    const machine = this.#down.get(from);
    if (machine === undefined) return;
    this.#down.delete(from);
    const instance = machine.instance === null ? null : { ...machine.instance, machine: to };
    this.#down.set(to, { ...machine, name: to, instance });
  }

  isDown(name: string): boolean {
    return this.#down.has(name);
  }

  /** Brings the instance of a machine, which may be another one afterwards, to what `attributes` say. */
  async update(
    machine: MachineRef,
    change: MachineChange,
    findInstance: () => Promise<FoundInstance>,
    signal?: AbortSignal,
  ): Promise<Attributes> {
    const { context, hosts, recorded, shared } = this.#parts;
    const name = typeof machine === "string" ? machine : machine.name;
    const before = recorded.attributesOf(name);
    const { attributes } = change;
    await this.bringBack(name, change, signal);
    const instance = await findInstance();
    const groups = await shared.ensureGroups(instance.lineage, signal);
    await ensureGroup(context, instance, groupOf(attributes, groups), groups, signal);
    const present = recorded.volumeOf(name, instance.generation) ?? instance.volumes.get(dataDeviceName) ?? null;
    const volumeId = hasDataVolume(attributes) ? present : null;
    await updateTags(context, instance, volumeId, signal);
    await ensureProfile(context, instance, attributes, signal);
    if (volumeId === null) {
      const onHost = await hosts.updateMachine(machine, change, signal);
      return { ...factsOf(instance, attributes), ...recorded.learnedKey(name), ...onHost };
    }
    const facts = await this.#keep({ ...instance, name, instance }, volumeId, kept(change), signal);
    await this.#resizeVolume(instance, volumeId, { before, attributes }, signal);
    return facts;
  }

  /** Brings back a machine that is down; `change`: null for what its instance has, or for the spec's attributes if that is gone. */
  async bringBack(name: string, change: MachineChange | null, signal?: AbortSignal): Promise<void> {
    const { context, instanceHosts, recorded } = this.#parts;
    const machine = this.#down.get(name);
    if (machine === undefined) return;
    const volumeId = recorded.volumeOf(name, machine.generation);
    // It is looked for by its tags.
    if (machine.instance !== null && !hasTags(machine.instance))
      await updateTags(context, machine.instance, volumeId, signal);
    const former = recorded.attributesOf(name);
    if (volumeId !== null) {
      const attributes = (machine.instance === null ? this.#described(name) : null) ?? former;
      await this.#keep(
        machine,
        volumeId,
        change === null ? { attributes, otherInstance: "stays" } : kept(change),
        signal,
      );
      return;
    }
    if (machine.instance !== null) {
      await startInstance(context, machine.instance, signal);
      const command = machine.instance.volumes.has(dataDeviceName) ? isPrepared : "true";
      await instanceHosts.untilReady(machine.instance, recorded.reach(name, former), command, signal);
    }
    this.#down.delete(name);
  }

  /** Brings the instance of a master that keeps its data to what is wanted: see `ensureKept`. */
  async #keep(
    machine: DownMachine,
    volumeId: string,
    { attributes, otherInstance }: Pick<KeptMachine, "attributes" | "otherInstance">,
    signal?: AbortSignal,
  ): Promise<Attributes> {
    const { context, hosts, instanceHosts, recorded } = this.#parts;
    const { name, generation, instance: former } = machine;
    const described = await wantedInstance(this.#parts, machine, attributes, signal);
    const { image } = recorded.attributesOf(name);
    const keepsImage = former !== null && (image === undefined || image === attributes["image"]);
    const wanted = { ...described, ...(keepsImage ? { ami: former.ami } : {}), volumeId, otherInstance };
    const isReplaced = otherInstance === "isReplaced" && former !== null && unlikeIn(former, wanted).length > 0;
    const isAsItWas = former !== null && former.state === "running" && !isReplaced;
    if (!isAsItWas) await hosts.forget(name);
    const running = await ensureKept(context, wanted, signal);
    const isSame = running.id === former?.id;
    const facts = isSame ? recorded.learnedKey(name) : await instanceHosts.learnKey(running, attributes, signal);
    await instanceHosts.untilReady(running, reachWith(facts, attributes), isPrepared, signal);
    this.#down.delete(name);
    const isStopped = otherInstance === "isReplaced";
    const onHost = await hosts.updateMachine({ name, generation }, { attributes, agentStopped: isStopped }, signal);
    const known = { ...factsOf(running, attributes), volume_id: volumeId, ...facts, ...onHost };
    recorded.add({ name, generation, attributes: { ...recorded.attributesOf(name), ...attributes, ...known } });
    return known;
  }

  /** A volume that has grown has a file system that has not. */
  async #resizeVolume(
    instance: FoundInstance,
    volumeId: string,
    { before, attributes }: { readonly before: Attributes; readonly attributes: Attributes },
    signal?: AbortSignal,
  ): Promise<void> {
    const { context, instanceHosts, recorded } = this.#parts;
    const { machine: name } = instance;
    const formerSize = before["volume_size"] ?? attributes["volume_size"];
    const hasGrown = await modifyVolume(context, name, volumeId, { formerSize, attributes }, signal);
    // One that was killed may have grown the volume alone.
    if (!hasGrown && formerSize === attributes["volume_size"]) return;
    const { id, address } = this.#current(instance);
    await instanceHosts.untilReady(
      { machine: name, id, address },
      recorded.reach(name, attributes),
      growFileSystem,
      signal,
    );
  }

  /** The instance that the machine has now: `#keep` may have given it another one. */
  #current(instance: FoundInstance): Pick<FoundInstance, "id" | "address"> {
    const id = this.#parts.recorded.attributesOf(instance.machine)["instance_id"];
    return { id: typeof id === "string" ? id : instance.id, address: instance.address };
  }

  /** The attributes of a machine of the spec; null if the spec has none of this name. */
  #described(name: string): Attributes | null {
    const { spec } = this.#parts.context;
    const host = machineHosts(spec, []).find((each) => each.name === name);
    return host === undefined ? null : awsModel.describeMachine(spec, host).attributes;
  }
}

/** An instance that a member runs on is terminated only once its agent has been stopped for it. */
function kept({ attributes, agentStopped }: MachineChange): Pick<KeptMachine, "attributes" | "otherInstance"> {
  return { attributes, otherInstance: agentStopped ? "isReplaced" : "isRefused" };
}
