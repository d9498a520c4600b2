/**
 * The state during apply: edits are applied one after the other, and each that changes something is on disk when it
 * returns.
 */
import { canonicalJson } from "../base/canonical-json.ts";
import { type DesiredResource, desiredResources } from "../plan/desired-resources.ts";
import { resolveKnownAddresses } from "../plan/known-addresses.ts";
import { moveResources } from "../plan/moved-masters.ts";
import type { Plan } from "../plan/plan.ts";
import type { ProviderModel } from "../plan/provider-model.ts";
import { deposedAddress, masterTypes, parseAddress, type ResourceAddress, resourceAddress } from "../plan/resource.ts";
import { asDeposed, type State, type StateResource } from "../plan/state.ts";
import type { StepAction } from "../plan/step.ts";
import { unknownAddresses } from "../spec/address-reference.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ApplyPorts } from "./ports.ts";
import type { StateEdit } from "./state-edits.ts";

type KeeperPorts = Pick<ApplyPorts, "stateStore" | "provider" | "newLineage">;

export class StateKeeper {
  #current: State;
  readonly #store: ApplyPorts["stateStore"];
  readonly #plan: Plan;
  readonly #model: ProviderModel;
  /** Whether the spec refers to addresses that are known after apply. */
  readonly #hasUnknownAddresses: boolean;
  #desired: ReadonlyMap<string, DesiredResource>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(state: State, plan: Plan, { stateStore, provider }: KeeperPorts) {
    this.#current = state;
    this.#store = stateStore;
    this.#plan = plan;
    this.#model = provider.model;
    this.#hasUnknownAddresses = unknownAddresses(plan.spec).length > 0;
    this.#desired = this.#desiredWith(state.resources);
  }

  /**
   * A cluster's first state is written before anything is created, so that everything is labeled with a stored lineage.
   */
  static async open(plan: Plan, ports: KeeperPorts): Promise<StateKeeper> {
    const found = await ports.stateStore.read();
    if (found !== null) return new StateKeeper(found, plan, ports);
    const state: State = {
      version: 1,
      haplanVersion: plan.binding.haplanVersion,
      lineage: plan.binding.stateLineage ?? ports.newLineage(),
      serial: 1,
      clusterName: plan.spec.name,
      resources: [],
    };
    await ports.stateStore.write(state);
    return new StateKeeper(state, plan, ports);
  }

  /** The spec with the addresses that are known by now. */
  get spec(): ClusterSpec {
    const { spec } = this.#plan;
    return this.#hasUnknownAddresses ? resolveKnownAddresses(spec, this.#current.resources) : spec;
  }

  /** The action with these addresses. A machine that is created does not get the address of the former one in the state. */
  resolved(action: StepAction): StepAction {
    if (!this.#hasUnknownAddresses || action.kind === "createMachine") return action;
    return resolveKnownAddresses(action, this.#current.resources);
  }

  #desiredWith(resources: readonly StateResource[]): ReadonlyMap<string, DesiredResource> {
    const spec = resolveKnownAddresses(this.#plan.spec, resources);
    return new Map(
      desiredResources(spec, this.#model, this.#plan.binding.artifact).map((resource) => [resource.address, resource]),
    );
  }

  get state(): State {
    return this.#current;
  }

  find(address: string): StateResource | undefined {
    return this.#current.resources.find((resource) => resource.address === address);
  }

  /** Applies `edits` as one write; resolves when it is durable. */
  apply(edits: readonly StateEdit[]): Promise<void> {
    const turn = this.#writing.then(() => this.#write(edits));
    this.#writing = turn.catch(() => undefined);
    return turn;
  }

  async #write(edits: readonly StateEdit[]): Promise<void> {
    const resources = new Map(this.#current.resources.map((resource) => [resource.address, resource]));
    let moved = false;
    for (const edit of edits) {
      if (edit.kind === "rename") {
        const renamed = moveResources([...resources.values()], edit);
        moved = renamed.some(({ address }) => !resources.has(address)) || moved;
        resources.clear();
        for (const resource of renamed) resources.set(resource.address, resource);
        continue;
      }
      if (edit.kind === "depose" || edit.kind === "reinstate") {
        moved = moveMaster(resources, edit) || moved;
        continue;
      }
      if (edit.kind === "abandon") {
        moved = keepAbandoned(resources, edit) || moved;
        continue;
      }
      const before = resources.get(edit.address);
      if (edit.kind === "remove") {
        moved = resources.delete(edit.address) || moved;
        continue;
      }
      if (this.#hasUnknownAddresses) this.#desired = this.#desiredWith(withEdit([...resources.values()], edit));
      const after = this.#upserted(edit, before, resources.get(machineOf(edit.address)));
      if (before !== undefined && canonicalJson(before) === canonicalJson(after)) continue;
      resources.set(edit.address, after);
      moved = true;
    }
    if (!moved) return;
    const next: State = {
      ...this.#current,
      haplanVersion: this.#plan.binding.haplanVersion,
      serial: this.#current.serial + 1,
      resources: [...resources.values()],
    };
    await this.#store.write(next);
    this.#current = next;
  }

  #upserted(
    edit: StateEdit & { kind: "upsert" },
    before: StateResource | undefined,
    machine: StateResource | undefined,
  ): StateResource {
    const desired = this.#desired.get(edit.address);
    const { type, name } = parseAddress(edit.address);
    // A member of haplan's own may have replaced an adopted one.
    const { adopted, ...known } = before?.attributes ?? {};
    const kept = adopted === undefined || desired?.attributes["adopted"] !== undefined ? before?.attributes : known;
    return {
      address: edit.address,
      type,
      name,
      generation: edit.generation ?? machine?.generation ?? before?.generation ?? 1,
      status: "ready",
      attributes: { ...kept, ...desired?.attributes, ...edit.attributes },
      sensitive: desired?.sensitive ?? before?.sensitive ?? [],
      dependsOn: desired?.dependsOn ?? before?.dependsOn ?? [],
    };
  }
}

/** The resources after the edit: its attributes may refer to an address that it contains. */
function withEdit(resources: readonly StateResource[], edit: StateEdit & { kind: "upsert" }): readonly StateResource[] {
  const known = resources.find(({ address }) => address === edit.address);
  const [type, name] = edit.address.split(/\.(.*)/s) as [StateResource["type"], string];
  const fresh = { generation: 1, status: "ready", sensitive: [], dependsOn: [] } as const;
  const attributes = { ...known?.attributes, ...edit.attributes };
  const others = resources.filter(({ address }) => address !== edit.address);
  return [...others, { ...fresh, ...known, address: edit.address, type, name, attributes }];
}

/** The machine alone, under the address of its generation. Idempotent. Returns whether it has changed anything. */
function keepAbandoned(
  resources: Map<string, StateResource>,
  { name, generation }: Extract<StateEdit, { kind: "abandon" }>,
): boolean {
  const found = resources.get(resourceAddress("haplan_machine", name));
  if (found?.generation !== generation) return false;
  const deposed = asDeposed(found);
  if (resources.has(deposed.address)) return false;
  resources.set(deposed.address, deposed);
  return true;
}

/** Idempotent. Returns whether it has changed anything. */
function moveMaster(
  resources: Map<string, StateResource>,
  { kind, name, generation }: Extract<StateEdit, { kind: "depose" | "reinstate" }>,
): boolean {
  const reinstates = kind === "reinstate";
  if (reinstates && !resources.has(deposedAddress("haplan_machine", name, generation))) return false;
  let moved = false;
  for (const type of masterTypes) {
    const own = resourceAddress(type, name);
    const deposed = deposedAddress(type, name, generation);
    const [from, to] = reinstates ? [deposed, own] : [own, deposed];
    const found = resources.get(from);
    if (reinstates) moved = deposeNewer(resources, own, generation) || moved;
    if (found?.generation !== generation) continue;
    resources.delete(from);
    resources.set(to, { ...found, address: to, name: parseAddress(to).name });
    moved = true;
  }
  return moved;
}

/** The entry of another machine that had the name stays, as that of its generation, until that machine is removed. */
function deposeNewer(resources: Map<string, StateResource>, own: ResourceAddress, generation: number): boolean {
  const newer = resources.get(own);
  if (newer === undefined || newer.generation === generation) return false;
  const deposed = asDeposed(newer);
  resources.set(deposed.address, deposed);
  return resources.delete(own);
}

/** The machine that runs the resource, which has its name. */
function machineOf(address: ResourceAddress): ResourceAddress {
  return resourceAddress("haplan_machine", parseAddress(address).name);
}
