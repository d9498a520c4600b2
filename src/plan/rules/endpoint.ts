/**
 * The load balancer's targets along the membership chain: a target is removed before its member stops, and added again
 * once the member serves at its new address. Targets to add wait for the next step that changes the targets anyway.
 */

import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { clientHostPort } from "../../units/addresses.ts";
import type { LoadBalancerTargets } from "../../units/load-balancer-targets.ts";
import { balancerOf, loadBalancerName } from "../../units/load-balancer-unit.ts";
import { hasName, isUnreachable } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Planning } from "../planning.ts";
import type { EndpointModel } from "../quorum-model.ts";
import { resourceAddress } from "../resource.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";
import type { KeptMaster } from "./masters.ts";

type Targets = ReadonlyMap<string, string>;

/** The client address of each master in the spec: `host:port` by name. */
export function wantedTargets(spec: ClusterSpec): Targets {
  return new Map(spec.controlPlane.masters.map((master) => [master.name, clientHostPort(spec, master)]));
}

/** The last known targets of the load balancer, whether it runs or not. */
export function toldTargets({ spec, observed, view }: Planning): Targets {
  const wanted = wantedTargets(spec);
  const found = (name: string): string | undefined =>
    view.members.find((member) => member.voter && member.name === name)?.clientPlace ?? wanted.get(name);
  const voters = view.members.filter((member) => member.voter && hasName(member));
  // Without a state the targets are unknown: a running load balancer is assumed to serve the voters.
  const names = observed.backends.length > 0 ? observed.backends : view.resources.size === 0 ? voters : [];
  const attributes = new Map(observed.backends.map((backend) => [backend.name, backend.attributes]));
  return new Map(
    names.flatMap(({ name }): readonly (readonly [string, string])[] => {
      const told = attributes.get(name)?.["target"];
      const target = typeof told === "string" ? told : found(name);
      return target === undefined ? [] : [[name, target]];
    }),
  );
}

/** The load balancer's part of the quorum model, before the plan. */
export function endpointModel(planning: Planning): EndpointModel {
  const { view } = planning;
  const running = [...view.loadBalancers.values()].filter((balancer) => balancer.running);
  const targets = toldTargets(planning);
  return { running: new Map(running.map(({ name }) => [name, targets])), wanted: wantedTargets(planning.spec) };
}

/** Backends for a step: names, and the addresses of those that are not at their address in the spec. */
export function backendsOf(targets: Targets, wanted: Targets): LoadBalancerTargets {
  const backends = [...targets.keys()].sort();
  const former = backends.filter((name) => targets.get(name) !== wanted.get(name));
  if (former.length === 0) return { backends };
  return { backends, formerTargets: Object.fromEntries(former.map((name) => [name, targets.get(name)!])) };
}

/** The address at which clients reach a load balancer now; undefined if it is not there. */
export function presentAddress({ view }: Planning, balancer: string): string | undefined {
  return view.loadBalancers.get(balancer)?.address;
}

/** Its listen address until its own machine moves, which comes last; absent if that stays. */
function presentPlace(planning: Planning, balancer: string): Pick<LoadBalancerTargets, "listensAt"> {
  const { spec, view } = planning;
  const address = presentAddress(planning, balancer);
  if (address === undefined || address === spec.loadBalancer.address) return {};
  const known = view.resources.get(resourceAddress("haplan_load_balancer", balancer))?.attributes["ports"];
  const ports = Array.isArray(known) ? known.filter((port) => typeof port === "number") : spec.loadBalancer.ports;
  return { listensAt: { address, ports } };
}

/** A load balancer that runs, as steps before its own change update it. */
export type PresentBalancer = Pick<LoadBalancerTargets, "balancer" | "listensAt">;

/**
 * The load balancers that run, the first of the spec's last: it is the first to have a virtual address. One that leaves a
 * virtual address, or the group of one, keeps its configuration until then.
 */
export function presentBalancers(planning: Planning): readonly PresentBalancer[] {
  const { view, desired, spec } = planning;
  const wanted = balancerNames(desired).filter((name) => view.loadBalancers.has(name));
  const leaving = [...view.loadBalancers.keys()].filter(
    (name) =>
      !wanted.includes(name) && (desired.length === 0 || presentAddress(planning, name) !== spec.loadBalancer.address),
  );
  const moves = (name: string): boolean =>
    view.loadBalancers.get(name)?.hasVirtualAddress === true &&
    desired.length > 0 &&
    presentAddress(planning, name) !== spec.loadBalancer.address;
  const running = [...wanted, ...leaving].filter((name) => view.loadBalancers.get(name)?.running && !moves(name));
  // A single one stays in the plan: its targets do not change while it is unreachable.
  const reachable = running.length === 1 ? running : running.filter((name) => !isUnreachable(view, name));
  return reachable.reverse().map((name) => ({ ...named(name), ...presentPlace(planning, name) }));
}

/** A single load balancer has no name of its own. */
export function named(balancer: string): Pick<LoadBalancerTargets, "balancer"> {
  return balancer === loadBalancerName ? {} : { balancer };
}

/** Names of the load balancers in the spec, in its order. */
export function balancerNames(desired: readonly DesiredResource[]): readonly string[] {
  return desired.flatMap(({ type, name }) => (type === "haplan_load_balancer" ? [name] : []));
}

export class Endpoint {
  readonly #builder: PlanBuilder;
  readonly #wanted: Targets;
  readonly #certificates: IssuedCertificates;
  readonly #revived: ReadonlyMap<string, string>;
  /** Those that clients use while the plan is executed. */
  readonly #balancers: readonly PresentBalancer[];
  /** Its current targets. */
  #told: Targets;
  /** Those of them that the state has: none if it was lost, so that the first step which changes targets records all. */
  #recorded: Targets;
  /** Its targets after the next step. */
  #next: Map<string, string>;
  /** Targets of masters that stay at their former address for now. */
  readonly #kept = new Map<string, string>();
  /** The last step that changed the targets. */
  #lastStep: string | null = null;

  /** `revived`: steps that start load balancers before, by name. */
  constructor(planning: Planning, certificates: IssuedCertificates, revived: ReadonlyMap<string, string>) {
    const { spec, observed, builder } = planning;
    this.#builder = builder;
    this.#wanted = wantedTargets(spec);
    this.#certificates = certificates;
    this.#revived = revived;
    this.#balancers = presentBalancers(planning);
    this.#next = new Map(toldTargets(planning));
    this.#told = new Map(this.#next);
    this.#recorded = observed.backends.length > 0 ? this.#told : new Map();
  }

  /** Whether it serves this master at its current address, which is not the one in the spec. */
  isElsewhere(name: string): boolean {
    const target = this.#next.get(name);
    return target !== undefined && target !== this.#wanted.get(name);
  }

  /** Whether clients reach this master through it. */
  serves(name: string): boolean {
    return this.#balancers.length > 0 && this.#next.has(name);
  }

  /** The members stop: their targets are removed now, unless none would be left. */
  withdraw(names: readonly string[]): void {
    for (const name of names) this.#next.delete(name);
    this.flush();
  }

  /** The member serves at its address in the spec. */
  offer(name: string): void {
    const target = this.#wanted.get(name);
    if (target !== undefined && !this.#kept.has(name)) this.#next.set(name, target);
  }

  /** The master is not changed by this plan: its target stays as well. */
  keep(name: string): void {
    const target = this.#next.get(name);
    if (target === undefined || target === this.#wanted.get(name)) return;
    this.#kept.set(name, target);
    this.#builder.leaveAsRecorded([resourceAddress("haplan_lb_backend", name)]);
  }

  /** Whether its target stays at another address than the spec's. */
  isKept(name: string): boolean {
    return this.#kept.has(name);
  }

  /** The targets once the plan is applied: all masters of the spec. */
  get final(): LoadBalancerTargets {
    return backendsOf(this.#final(), this.#wanted);
  }

  #final(): Targets {
    return new Map([...this.#wanted, ...this.#kept]);
  }

  /** Members that serve at their address in the spec and are not targets yet. */
  offerThoseInPlace(kept: readonly KeptMaster[]): void {
    for (const { name, voter, condition } of kept) {
      if (condition === "healthy" && voter.name === name && voter.clientPlace === this.#wanted.get(name))
        this.offer(name);
    }
  }

  /** No client reaches a member through it, until targets are offered again. */
  close(): void {
    this.#next.clear();
    this.#update();
  }

  /** Adds the pending targets. */
  flush(): void {
    if (this.#next.size > 0) this.#update();
  }

  #update(): void {
    if (this.#balancers.length === 0 || same(this.#told, this.#next)) return;
    const changed = [...new Set([...this.#recorded.keys(), ...this.#next.keys()])]
      .filter((name) => this.#recorded.get(name) !== this.#next.get(name))
      .sort();
    this.#told = new Map(this.#next);
    this.#recorded = this.#told;
    const targets = backendsOf(this.#told, this.#wanted);
    const backends = changed.map((name) => resourceAddress("haplan_lb_backend", name));
    for (const [place, balancer] of this.#balancers.entries()) {
      const name = balancerOf(balancer);
      const isLast = place === this.#balancers.length - 1;
      this.#lastStep =
        this.#builder.chain(
          { kind: "updateLoadBalancer", ...targets, ...balancer },
          // A target has changed once it has in all of them.
          [resourceAddress("haplan_load_balancer", name), ...(isLast ? backends : [])],
          // It is written together with the configuration.
          [this.#certificates.get(name) ?? null, this.#revived.get(name) ?? null],
        ) ?? this.#lastStep;
    }
  }

  /** The step that wrote the final configuration; null if none has. */
  get settledBy(): string | null {
    return same(this.#told, this.#final()) ? this.#lastStep : null;
  }
}

function same(one: Targets, other: Targets): boolean {
  return one.size === other.size && [...one].every(([name, target]) => other.get(name) === target);
}
