/** The load balancers during a migration: in front of the old cluster, holding its clients, or in front of the new members. */
import { randomUUID } from "node:crypto";
import { materializeUnit } from "../../../src/apply/materialize-unit.ts";
import { errorText } from "../../../src/base/haplan-error.ts";
import { haproxyQuestion, haproxySocket, parseHaproxyStatus } from "../../../src/load-balancer/haproxy-status.ts";
import {
  type LoadBalancerStatus,
  parseStatus,
  statusFileName,
} from "../../../src/load-balancer/load-balancer-status.ts";
import { resolveKnownAddresses } from "../../../src/plan/known-addresses.ts";
import type { FollowedCluster } from "../../../src/plan/restore-request.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import type { LoadBalancerTargets } from "../../../src/units/load-balancer-targets.ts";
import {
  loadBalancerBlueprint,
  loadBalancerConfig,
  loadBalancerName,
  relayBlueprint,
} from "../../../src/units/load-balancer-unit.ts";
import { loadBalancerUnitName, relayUnitName } from "../../../src/units/unit-definition.ts";
import type { CliContext } from "../cli-context.ts";
import { RefusalError, refuse } from "../refusal.ts";
import { type Session, sessionState } from "../session.ts";
import type { MigrationRecord } from "./migration-record.ts";

/** Clients that wait are released by then, whatever has become of haplan. */
const holdMsMax = 10_000;
const heldTimeoutMs = 5_000;
/** Its status is written every second. */
const settledTimeoutMs = 2_000;
const pollMs = 10;
/** HAProxy's former process stops listening within this time of its successor's first answer. */
const handoverMs = 500;
const handoverTimeoutMs = 5_000;

export type ClusterSide = "old" | "new";

/** The members of the old cluster, by names for the load balancer: no master has such a name. */
export function followedCluster({ engine, endpoints }: Pick<MigrationRecord, "engine" | "endpoints">): FollowedCluster {
  const targets = endpoints.map((url, at) => [`migrated-from-${at + 1}`, new URL(url).host] as const);
  return { engine, targets: Object.fromEntries(targets) };
}

/** @throws RefusalError for a load balancer that cannot hold its clients, and for clients that do not use it */
export function requireHoldingBalancer({ loadBalancer: { type }, kubernetes }: ClusterSpec): void {
  if (kubernetes !== undefined)
    throw refuse(
      "cli/migrate-kubernetes",
      "A migration does not move Kubernetes: its API servers use the members, and not the load balancer",
      "Write a spec without `kubernetes` for the migration, and add it by an apply afterwards.",
    );
  if (type === "nlb")
    throw refuse(
      "cli/migrate-balancer",
      `The load balancer is of type ${type}, which cannot hold its clients during the switch`,
      "Write `loadBalancer: { type: embedded, address: ... }` for the migration, and change it by an apply afterwards.",
    );
}

/**
 * HAProxy forwards through a relay from its start, if that is a migration's: connections that it has to members cannot be held.
 * @throws RefusalError for one that forwards to members
 */
export async function requireRelay(context: CliContext, session: Session): Promise<void> {
  if (session.spec.loadBalancer.type !== "haproxy" || (await sessionState(context, session)) === null) return;
  throw refuse(
    "cli/migrate-haproxy",
    "HAProxy runs already, and cannot hold the connections that it has",
    "Only one that is made by a migration forwards through haplan's own load balancer, which can. Write the new members and a load balancer of another address as a cluster of another name.",
  );
}

/** All load balancers of the spec: a change is complete once all have made it. */
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

  /** New connections are forwarded to this cluster, and those that wait. One that cannot be reached keeps none of the others. */
  async serve(side: ClusterSide): Promise<void> {
    await this.#each((name) => this.#ensure(name, this.#targets(side)));
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
   * Returns once no client of any load balancer has a connection, with the number of connections that were cut during a call: they
   * had no moment between two calls. If nothing else releases the clients in time, they continue at `side`.
   * @throws RefusalError if one does not hold its clients
   */
  async hold(side: ClusterSide): Promise<number> {
    const id = randomUUID();
    const targets = { ...this.#targets(side), hold: { id, forMs: holdMsMax } };
    await this.#each((name) => this.#ensure(name, targets));
    const isHeld = ({ held }: LoadBalancerStatus): boolean => held?.id === id && held.complete;
    const found = await this.#each((name) => this.#untilStatus(name, isHeld, heldTimeoutMs));
    const failed = this.#names.filter((_, at) => found[at] === null);
    if (failed.length > 0) throw notHeld(failed, side);
    // One of them may have died, or its time be over, while another one still closed connections.
    const still = await this.#each((name) => this.#status(name));
    const released = this.#names.filter((_, at) => still[at]?.held?.id !== id);
    if (released.length > 0) throw notHeld(released, side);
    return still.reduce((sum, status) => sum + (status?.held?.cut ?? 0), 0);
  }

  /**
   * HAProxy has its targets itself again: the relay beside it ends, between two calls of each connection. Does nothing for one that
   * has none.
   */
  async removeRelays(): Promise<void> {
    const relays = await this.#relays();
    await this.#each(async (name) => (relays.includes(name) ? this.#removeRelay(name) : undefined));
  }

  /** Whether HAProxy forwards through a relay, or one was left beside it. */
  async hasRelay(): Promise<boolean> {
    return (await this.#relays()).length > 0;
  }

  async #relays(): Promise<readonly string[]> {
    const { provider } = this.#session;
    const found = await this.#each((name) => provider.readUnitFile(name, relayUnitName, "load-balancer.json"));
    return this.#names.filter((_, at) => found[at] !== null);
  }

  async #removeRelay(name: string): Promise<void> {
    const { provider } = this.#session;
    const { clock } = this.#context;
    const deadlineMs = clock.monotonicMs() + handoverTimeoutMs;
    for (;;) {
      const statistics = await provider.askUnit(name, loadBalancerUnitName, haproxySocket, haproxyQuestion);
      // Through the relay it has no such servers.
      if (statistics !== null && parseHaproxyStatus(statistics).length > 0) break;
      if (clock.monotonicMs() > deadlineMs)
        throw refuse(
          "cli/relay-in-use",
          `HAProxy of ${name} does not report the new members as its targets`,
          "The new members have the clients. Find the cause in its log, and run this again:",
          [["migrate", "-finish"]],
        );
      await clock.sleep(pollMs);
    }
    await clock.sleep(handoverMs);
    await provider.removeUnit(name, relayUnitName);
  }

  async #areAllAt(side: ClusterSide): Promise<boolean> {
    return (await this.#each((name) => this.#isAt(name, side))).every(Boolean);
  }

  async #isAt(name: string, side: ClusterSide): Promise<boolean> {
    const wanted = this.#targets(side).backends.join();
    const isThere = ({ held, backends, connections }: LoadBalancerStatus): boolean =>
      held === undefined &&
      backends
        .map((backend) => backend.name)
        .sort()
        .join() === wanted &&
      // Targets that were removed keep their connections for a while.
      connections === backends.reduce((sum, backend) => sum + backend.connections, 0);
    return (await this.#untilStatus(name, isThere, settledTimeoutMs)) !== null;
  }

  /** Null if it has none like that in time. */
  async #untilStatus(
    name: string,
    holds: (status: LoadBalancerStatus) => boolean,
    timeoutMs: number,
  ): Promise<LoadBalancerStatus | null> {
    const { clock } = this.#context;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      const status = await this.#status(name);
      if (status !== null && holds(status)) return status;
      if (clock.monotonicMs() > deadlineMs) return null;
      await clock.sleep(pollMs);
    }
  }

  async #status(name: string): Promise<LoadBalancerStatus | null> {
    const { provider, spec } = this.#session;
    const unit = spec.loadBalancer.type === "haproxy" ? relayUnitName : loadBalancerUnitName;
    const text = await provider.readUnitFile(name, unit, statusFileName);
    return text === null ? null : parseStatus(text, this.#context.clock.now());
  }

  /** Waits for all, also if one fails. @throws the first error, with the name of its load balancer if there are others */
  async #each<Result>(work: (name: string) => Promise<Result>): Promise<readonly Result[]> {
    const names = this.#names;
    const results = await Promise.allSettled(names.map(work));
    return results.map((result, at) => {
      if (result.status === "fulfilled") return result.value;
      const { reason } = result;
      throw names.length === 1 || reason instanceof RefusalError ? reason : notReached(names[at]!, reason);
    });
  }

  get #names(): readonly string[] {
    const { provider, spec } = this.#session;
    return provider.model.describeLoadBalancer(spec).hosts.map(({ name }) => name);
  }

  #targets(side: ClusterSide): LoadBalancerTargets {
    const { controlPlane, loadBalancer } = this.#session.spec;
    const targets = side === "old" ? this.#old : { backends: controlPlane.masters.map(({ name }) => name).sort() };
    return loadBalancer.type === "haproxy" ? { ...targets, throughRelay: true } : targets;
  }

  async #ensure(name: string, common: LoadBalancerTargets): Promise<void> {
    const { loadBalancer, authority, provider } = this.#session;
    const state = await sessionState(this.#context, this.#session);
    if (state === null) return;
    const spec = resolveKnownAddresses(this.#session.spec, state.resources);
    const targets = name === loadBalancerName ? common : { ...common, balancer: name };
    const blueprint = loadBalancerBlueprint(spec, targets);
    const relay = relayBlueprint(spec, targets);
    await loadBalancer.ensure({
      name,
      lineage: state.lineage,
      attributes: provider.model.describeLoadBalancer(spec).attributes,
      config: loadBalancerConfig(spec, targets),
      unit: () => materializeUnit(blueprint, authority),
      relay: relay === null ? null : () => materializeUnit(relay, authority),
      virtualAddress: null,
    });
  }
}

/** Of several load balancers one may be lost for good, and would keep a migration from its end. */
function notReached(name: string, cause: unknown): RefusalError {
  return refuse(
    "cli/balancer-not-reached",
    `Load balancer ${name} could not be asked`,
    `${errorText(cause)}\nIt may have clients: run the same command again once it is back. If its host is lost for good, and no client uses it, remove it from loadBalancer.hosts in the spec first.`,
  );
}

function notHeld(names: readonly string[], side: ClusterSide): RefusalError {
  return refuse(
    "cli/clients-not-held",
    `Clients do not wait at ${names.join(" and ")}`,
    `They stay at ${side === "old" ? "the old cluster" : "the new members"}. Find the cause in the log of the load balancer, and run the same command again.`,
  );
}
