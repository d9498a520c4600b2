/** The load balancer during a migration: in front of the old cluster, holding its clients, or in front of the new members. */
import { materializeUnit } from "../../../src/apply/materialize-unit.ts";
import { parseStatus, statusFileName } from "../../../src/load-balancer/load-balancer-status.ts";
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
const pollMs = 10;

/** The members of the old cluster, by names for the load balancer: no master has such a name. */
export function followedCluster({ engine, endpoints }: Pick<MigrationRecord, "engine" | "endpoints">): FollowedCluster {
  const targets = endpoints.map((url, at) => [`migrated-from-${at + 1}`, new URL(url).host] as const);
  return { engine, targets: Object.fromEntries(targets) };
}

/** @throws RefusalError for a load balancer that cannot hold its clients */
export function requireHoldingBalancer({ loadBalancer }: ClusterSpec): void {
  if (loadBalancer.type === "embedded" && loadBalancer.hosts === undefined) return;
  throw migrationUnsupported(
    loadBalancer.hosts === undefined
      ? `The load balancer is of type ${loadBalancer.type}, and only haplan's own can hold its clients during the switch`
      : "There are several load balancers, which cannot switch at the same moment",
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

  serveOld(): Promise<void> {
    return this.#ensure(this.#old);
  }

  serveNew(): Promise<void> {
    return this.#ensure(this.#new());
  }

  /**
   * Returns once no client has a connection to `present`, with the number of connections that were cut during a call: they
   * had no moment between two calls.
   */
  async hold(present: "old" | "new"): Promise<number> {
    await this.#ensure({ ...(present === "old" ? this.#old : this.#new()), hold: { forMs: holdMsMax } });
    const { clock } = this.#context;
    const deadlineMs = clock.monotonicMs() + heldTimeoutMs;
    for (;;) {
      const held = await this.#held();
      if (held?.complete === true) return held.cut;
      if (clock.monotonicMs() > deadlineMs) throw new Error("the load balancer does not hold its clients");
      await clock.sleep(pollMs);
    }
  }

  async #held(): Promise<{ readonly complete: boolean; readonly cut: number } | null> {
    const { provider } = this.#session;
    const text = await provider.readUnitFile(loadBalancerName, loadBalancerUnitName, statusFileName);
    return text === null ? null : (parseStatus(text, this.#context.clock.now())?.held ?? null);
  }

  #new(): LoadBalancerTargets {
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
