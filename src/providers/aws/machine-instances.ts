/** Finds the instances of machines: by their tags, and those that the state has by their ids. */
import { machineHosts } from "../../spec/machine-hosts.ts";
import type { AwsContext } from "./aws-context.ts";
import type { InstanceIds } from "./instance-ids.ts";
import { type FoundInstance, findInstances, findInstancesById, isAlive } from "./instances.ts";
import type { RecordedMachines } from "./recorded-machines.ts";
import { asRecorded, byInstance, type Known, refuseAlike, type ToldApart, tellApart } from "./told-apart.ts";

export type MachineQuery = { readonly machine?: string; readonly generation?: number };

export class MachineInstances {
  readonly #context: AwsContext;
  readonly #recorded: RecordedMachines;
  readonly #ids: InstanceIds;
  readonly #known: Known;
  /** That of the cluster; null before it is known. */
  #lineage: string | null = null;

  constructor(context: AwsContext, recorded: RecordedMachines, ids: InstanceIds) {
    this.#context = context;
    this.#recorded = recorded;
    this.#ids = ids;
    const addresses = machineHosts(context.spec, []).map(({ name, address }) => [name, address ?? ""] as const);
    this.#known = { recorded: recorded.all(), addresses: new Map(addresses) };
  }

  setLineage(lineage: string | null): void {
    this.#lineage = lineage ?? this.#lineage;
  }

  /** @throws HaplanError `aws/two-instances` */
  async findAlive(query: MachineQuery, signal?: AbortSignal): Promise<readonly FoundInstance[]> {
    const { machines, alike } = await this.find(query, signal);
    refuseAlike(alike.filter(([each]) => each?.lineage === this.#lineage));
    const found = machines.filter(isAlive);
    for (const instance of found) this.#ids.add(instance);
    return found;
  }

  /** Also those that were terminated within the last hour, and those that lack some of haplan's tags. */
  async find(query: MachineQuery, signal?: AbortSignal): Promise<ToldApart> {
    const { machine, generation } = query;
    const tagged = await findInstances(this.#context, query, signal);
    const recorded = this.#recorded
      .all()
      .filter((each) => (machine ?? each.name) === each.name && (generation ?? each.generation) === each.generation);
    const byId = byInstance(recorded);
    const missing = [...byId.keys()].filter((id) => tagged.every((instance) => instance.id !== id));
    const untagged = await findInstancesById(this.#context, missing, signal);
    const of = { cluster: this.#context.spec.name, lineage: this.#lineage };
    const own = [...tagged, ...untagged].map((instance) => asRecorded(instance, byId.get(instance.id), of));
    return tellApart(
      this.#known,
      own.filter((each) => tagged.includes(each) || recorded.some(({ name }) => name === each.machine)),
    );
  }
}
