/** The load balancer during a migration: in front of the old cluster, holding its clients, or in front of the new members. */
import { randomUUID } from "node:crypto";
import { materializeUnit } from "../../../src/apply/materialize-unit.ts";
import {
  type LoadBalancerStatus,
  parseStatus,
  statusFileName,
} from "../../../src/load-balancer/load-balancer-status.ts";
import { resolveKnownAddresses } from "../../../src/plan/known-addresses.ts";
import type { FollowedCluster } from "../../../src/plan/restore-request.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import type { LoadBalancerTargets } from "../../../src/units/load-balancer-targets.ts";
import { loadBalancerBlueprint, loadBalancerConfig, loadBalancerName } from "../../../src/units/load-balancer-unit.ts";
import { loadBalancerUnitName } from "../../../src/units/unit-definition.ts";
import type { CliContext } from "../cli-context.ts";
import { type RefusalError, refuse } from "../refusal.ts";
import { type Session, sessionState } from "../session.ts";
import type { MigrationRecord } from "./migration-record.ts";

/** Clients that wait are released by then, whatever has become of haplan. */
const holdMsMax = 10_000;
const heldTimeoutMs = 5_000;
/** Its status is written every second. */
const settledTimeoutMs = 2_000;
const pollMs = 10;

export type ClusterSide = "old" | "new";

/** The members of the old cluster, by names for the load balancer: no master has such a name. */
export function followedCluster({ engine, endpoints }: Pick<MigrationRecord, "engine" | "endpoints">): FollowedCluster {
  const targets = endpoints.map((url, at) => [`migrated-from-${at + 1}`, new URL(url).host] as const);
  return { engine, targets: Object.fromEntries(targets) };
}

/** @throws RefusalError for a load balancer that cannot hold its clients, and for clients that do not use it */
export function requireHoldingBalancer({ loadBalancer, kubernetes }: ClusterSpec): void {
  const { type, hosts } = loadBalancer;
  if (kubernetes !== undefined)
    throw refuse(
      "cli/migrate-kubernetes",
      "A migration does not move Kubernetes: its API servers use the members, and not the load balancer",
      "Write a spec without `kubernetes` for the migration, and add it by an apply afterwards.",
    );
  if (hosts !== undefined)
    throw migrationUnsupported(
      hosts.length > 1
        ? "There are several load balancers, which cannot switch at the same moment"
        : "The load balancer is on one of `hosts`, and a migration needs one with an address",
    );
  if (type !== "embedded")
    throw migrationUnsupported(
      `The load balancer is of type ${type}, and only haplan's own can hold its clients during the switch`,
    );
}

function migrationUnsupported(why: string): RefusalError {
  const advice =
    "Write `loadBalancer: { type: embedded, address: ... }` for the migration, and change it by an apply afterwards.";
  return refuse("cli/migrate-balancer", why, advice);
}

export class MigrationBalancer {
  readonly #context: CliContext;
  readonly #session: Session;
  readonly #old: LoadBalancerTargets;

  constructor(context: CliContext, session: Session, record: MigrationRecord) {
    this.#context = context;
    this.#session = session;
    const { engine, targets } = followedCluster(record);
    this.#old = { backends: Object.keys(targets).sort(), formerTargets: targets, engine };
  }

  /** New connections are forwarded to this cluster, and those that wait. */
  serve(side: ClusterSide): Promise<void> {
    return this.#ensure(this.#targets(side));
  }

  /**
   * All clients use this cluster, and have no connection to the other one, where a run that was killed may have left them.
   * Does nothing before there is a load balancer.
   */
  async moveClients(side: ClusterSide): Promise<void> {
    if ((await sessionState(this.#context, this.#session)) === null) return;
    if (!(await this.#areAllAt(side))) await this.hold(side);
    await this.serve(side);
  }

  /**
   * Returns once no client has a connection, with the number of connections that were cut during a call: they had no moment
   * between two calls. If nothing else releases the clients in time, they continue at `side`.
   */
  async hold(side: ClusterSide): Promise<number> {
    const id = randomUUID();
    await this.#ensure({ ...this.#targets(side), hold: { id, forMs: holdMsMax } });
    const isHeld = ({ held }: LoadBalancerStatus): boolean => held?.id === id && held.complete;
    const status = await this.#untilStatus(isHeld, heldTimeoutMs);
    if (status === null) throw new Error("the load balancer does not hold its clients");
    return status.held?.cut ?? 0;
  }

  async #areAllAt(side: ClusterSide): Promise<boolean> {
    const wanted = this.#targets(side).backends.join();
    const isThere = ({ held, backends, connections }: LoadBalancerStatus): boolean =>
      held === undefined &&
      backends
        .map(({ name }) => name)
        .sort()
        .join() === wanted &&
      // Targets that were removed keep their connections for a while.
      connections === backends.reduce((sum, backend) => sum + backend.connections, 0);
    return (await this.#untilStatus(isThere, settledTimeoutMs)) !== null;
  }

  /** Null if it has none like that in time. */
  async #untilStatus(
    holds: (status: LoadBalancerStatus) => boolean,
    timeoutMs: number,
  ): Promise<LoadBalancerStatus | null> {
    const { clock } = this.#context;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      const status = await this.#status();
      if (status !== null && holds(status)) return status;
      if (clock.monotonicMs() > deadlineMs) return null;
      await clock.sleep(pollMs);
    }
  }

  async #status(): Promise<LoadBalancerStatus | null> {
    const { provider } = this.#session;
    const text = await provider.readUnitFile(loadBalancerName, loadBalancerUnitName, statusFileName);
    return text === null ? null : parseStatus(text, this.#context.clock.now());
  }

  #targets(side: ClusterSide): LoadBalancerTargets {
    if (side === "old") return this.#old;
    return { backends: this.#session.spec.controlPlane.masters.map(({ name }) => name).sort() };
  }

  async #ensure(targets: LoadBalancerTargets): Promise<void> {
    const { loadBalancer, authority, provider } = this.#session;
    const state = await sessionState(this.#context, this.#session);
    if (state === null) return;
    const spec = resolveKnownAddresses(this.#session.spec, state.resources);
    const blueprint = loadBalancerBlueprint(spec, targets);
    await loadBalancer.ensure({
      name: loadBalancerName,
      lineage: state.lineage,
      attributes: provider.model.describeLoadBalancer(spec).attributes,
      config: loadBalancerConfig(spec, targets),
      unit: () => materializeUnit(blueprint, authority),
      virtualAddress: null,
    });
  }
}
