/** What the machines of a cluster share: its network, which exists, and its security groups and placement groups. */
import type { Attributes } from "../../plan/resource.ts";
import { machineHosts } from "../../spec/machine-hosts.ts";
import type { AwsContext } from "./aws-context.ts";
import { awsModel } from "./aws-model.ts";
import { findBalancer, lineageOf } from "./balancer-objects.ts";
import { findInstances } from "./instances.ts";
import { findNetwork, type Network } from "./network.ts";
import { removePlacementGroups } from "./placement-groups.ts";
import type { RecordedMachines } from "./recorded-machines.ts";
import { ensureGroups, type GroupIds, removeGroups } from "./security-groups.ts";

export class SharedObjects {
  readonly #context: AwsContext;
  readonly #recorded: RecordedMachines;
  #network: Promise<Network> | null = null;
  #groups: Promise<GroupIds> | null = null;
  #removing: Promise<void> = Promise.resolve();

  constructor(context: AwsContext, recorded: RecordedMachines) {
    this.#context = context;
    this.#recorded = recorded;
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
    const found = (await findInstances(context, {}, signal)).filter((instance) => context.own.has(instance));
    if (found.some(({ state }) => state !== "terminated")) return;
    const balancer = await findBalancer(context, signal);
    if (balancer !== null && context.own.has({ lineage: lineageOf(balancer) })) return;
    this.#groups = null;
    await removeGroups(context, subject, signal);
    await removePlacementGroups(context, this.#placementGroups(), signal);
  }

  /** Those of the spec as well: the state no longer has those of machines that an interrupted destroy has removed. */
  #placementGroups(): ReadonlySet<string> {
    const { spec } = this.#context;
    const described = machineHosts(spec, []).map((host) => awsModel.describeMachine(spec, host));
    const all: readonly { readonly attributes: Attributes }[] = [...this.#recorded.all(), ...described];
    const names = all.map(({ attributes }) => attributes["placement_group"]);
    return new Set(names.filter((name): name is string => typeof name === "string"));
  }
}
