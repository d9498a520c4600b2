/** What the machines of a cluster share: its network, which exists, and its security groups and placement groups. */
import type { AwsContext } from "./aws-context.ts";
import { findBalancer, lineageOf } from "./balancer-objects.ts";
import type { MachineInstances } from "./machine-instances.ts";
import { findNetwork, type Network } from "./network.ts";
import { removePlacementGroups } from "./placement-groups.ts";
import { ensureGroups, type GroupIds, removeGroups } from "./security-groups.ts";

export class SharedObjects {
  readonly #context: AwsContext;
  readonly #instances: Pick<MachineInstances, "find">;
  #network: Promise<Network> | null = null;
  #groups: Promise<GroupIds> | null = null;
  #removing: Promise<void> = Promise.resolve();

  constructor(context: AwsContext, instances: Pick<MachineInstances, "find">) {
    this.#context = context;
    this.#instances = instances;
  }

  network(signal?: AbortSignal): Promise<Network> {
    this.#network ??= findNetwork(this.#context, signal);
    this.#network.catch(() => {
      this.#network = null;
    });
    return this.#network;
  }

  /** Once a run: several machines are created at the same time. */
  async ensureGroups(lineage: string, signal?: AbortSignal): Promise<GroupIds> {
    const { vpcId } = await this.network(signal);
    this.#groups ??= ensureGroups(this.#context, lineage, vpcId, signal);
    this.#groups.catch(() => {
      this.#groups = null;
    });
    return await this.#groups;
  }

  /**
   * Removes the groups with the last instance and the load balancer, as a part of removing `subject`. One call after the other: machines
   * are destroyed at the same time.
   */
  removeUnused(subject: string, signal?: AbortSignal): Promise<void> {
    const removed = this.#removing.catch(() => undefined).then(() => this.#remove(subject, signal));
    this.#removing = removed;
    return removed;
  }

  async #remove(subject: string, signal?: AbortSignal): Promise<void> {
    const context = this.#context;
    const { machines } = await this.#instances.find({}, signal);
    if (machines.some((instance) => context.own.has(instance) && instance.state !== "terminated")) return;
    const balancer = await findBalancer(context, signal);
    if (balancer !== null && context.own.has({ lineage: lineageOf(balancer) })) return;
    this.#groups = null;
    await removeGroups(context, subject, signal);
    await removePlacementGroups(context, signal);
  }
}
