/**
 * The load balancer's targets along the membership chain: a target is removed before its member stops, and added again
 * once the member serves at its new address. Targets to add wait for the next step that changes the targets anyway.
 */

import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { clientHostPort } from "../../units/addresses.ts";
import type { LoadBalancerTargets } from "../../units/load-balancer-targets.ts";
import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import { loadBalancerAddress } from "../desired-resources.ts";
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
  const voters = view.members.filter((member) => member.voter && member.name !== "");
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
  return {
    targets: view.loadBalancer?.running === true ? toldTargets(planning) : null,
    wanted: wantedTargets(planning.spec),
  };
}

/** Backends for a step: names, and the addresses of those that are not at their address in the spec. */
export function backendsOf(targets: Targets, wanted: Targets): LoadBalancerTargets {
  const backends = [...targets.keys()].sort();
  const former = backends.filter((name) => targets.get(name) !== wanted.get(name));
  if (former.length === 0) return { backends };
  return { backends, formerTargets: Object.fromEntries(former.map((name) => [name, targets.get(name)!])) };
}

/** Its listen address until its own machine moves, which comes last; absent if that stays. */
export function presentPlace({ spec, view }: Planning): Pick<LoadBalancerTargets, "listensAt"> {
  const address = view.loadBalancer?.address;
  if (address === undefined || address === spec.loadBalancer.address) return {};
  const known = view.resources.get(loadBalancerAddress)?.attributes["ports"];
  const ports = Array.isArray(known) ? known.filter((port) => typeof port === "number") : spec.loadBalancer.ports;
  return { listensAt: { address, ports } };
}

export class Endpoint {
  readonly #builder: PlanBuilder;
  readonly #wanted: Targets;
  /** Steps wait for the load balancer's certificate, which they write together with its configuration. */
  readonly #certificate: string | null;
  /** Clients use it while the plan is executed. */
  readonly #active: boolean;
  readonly #place: Pick<LoadBalancerTargets, "listensAt">;
  /** Its current targets; empty if there is no state. */
  #told: Targets;
  /** Its targets after the next step. */
  #next: Map<string, string>;
  /** The last step that changed the targets. */
  #lastStep: string | null = null;

  constructor(planning: Planning, certificates: IssuedCertificates) {
    const { spec, observed, view, builder } = planning;
    this.#builder = builder;
    this.#wanted = wantedTargets(spec);
    this.#certificate = certificates.get(loadBalancerName) ?? null;
    this.#active = view.loadBalancer?.running === true;
    this.#place = presentPlace(planning);
    this.#next = new Map(toldTargets(planning));
    this.#told = observed.backends.length > 0 ? new Map(this.#next) : new Map();
  }

  /** Whether it serves this master at its current address, which is not the one in the spec. */
  isElsewhere(name: string): boolean {
    const target = this.#next.get(name);
    return target !== undefined && target !== this.#wanted.get(name);
  }

  /** Whether clients reach this master through it. */
  serves(name: string): boolean {
    return this.#active && this.#next.has(name);
  }

  /** The members stop: their targets are removed now, unless none would be left. */
  withdraw(names: readonly string[]): void {
    for (const name of names) this.#next.delete(name);
    this.flush();
  }

  /** The member serves at its address in the spec. */
  offer(name: string): void {
    const target = this.#wanted.get(name);
    if (target !== undefined) this.#next.set(name, target);
  }

  /** Members that serve at their address in the spec and are not targets yet. */
  offerThoseInPlace(kept: readonly KeptMaster[]): void {
    for (const { name, voter, condition } of kept) {
      if (condition === "healthy" && voter.name === name && voter.clientPlace === this.#wanted.get(name))
        this.offer(name);
    }
  }

  /** Adds the pending targets. */
  flush(): void {
    if (!this.#active || this.#next.size === 0 || same(this.#told, this.#next)) return;
    const changed = [...new Set([...this.#told.keys(), ...this.#next.keys()])]
      .filter((name) => this.#told.get(name) !== this.#next.get(name))
      .sort();
    this.#told = new Map(this.#next);
    this.#lastStep = this.#builder.chain(
      { kind: "updateLoadBalancer", ...backendsOf(this.#told, this.#wanted), ...this.#place },
      [loadBalancerAddress, ...changed.map((name) => resourceAddress("haplan_lb_backend", name))],
      [this.#certificate],
    );
  }

  /** The step that wrote the spec's configuration; null if none has. */
  get settledBy(): string | null {
    return same(this.#told, this.#wanted) ? this.#lastStep : null;
  }
}

function same(one: Targets, other: Targets): boolean {
  return one.size === other.size && [...one].every(([name, target]) => other.get(name) === target);
}
