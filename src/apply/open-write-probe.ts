/** Chooses the write probe's clients for a plan. */

import { type Attributes, resourceAddress } from "../plan/resource.ts";
import type { Step, StepAction } from "../plan/step.ts";
import { traitsOf } from "../plan/step-traits.ts";
import { hasKnownAddress } from "../spec/address-reference.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { clientUrl, clusterEndpoint } from "../units/addresses.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";
import type { ProbeClientRequest, RunningProbe } from "./ports.ts";
import type { Connection, StepContext } from "./step-context.ts";
import type { WriteGapBudget } from "./write-gap-budget.ts";

type ProbeContext = Pick<StepContext, "plan" | "ports" | "keeper" | "connection"> & {
  /** Ids of the steps that an earlier apply has completed. */
  readonly done: ReadonlySet<string>;
  /** Null: none is set. */
  readonly budget: WriteGapBudget | null;
};

export type OpenedProbe = {
  /** Call it before each step, and the returned function once the step has ended. */
  stepStarted(step: Step): () => void;
  /** Call it after each step that succeeded. */
  stepDone(action: StepAction): Promise<void>;
  stop: RunningProbe["stop"];
};

/**
 * Through the load balancer unless it is being changed, as the cluster's users see it. If it is, to the members, and
 * also through the endpoint: the current one, then the one of the spec. Null if nothing can be measured, which is no
 * reason not to apply.
 */
export async function openWriteProbe(context: ProbeContext): Promise<OpenedProbe | null> {
  const { plan, ports, keeper, connection, done, budget } = context;
  const { spec } = keeper;
  // A copy has the writes of what it follows, and no others.
  if (plan.restore?.follows !== undefined) return null;
  const kinds = new Set(plan.steps.filter(({ id }) => !done.has(id)).map(({ action }) => action.kind));
  const { endpoint: before, type } = recordedBalancer(keeper)?.attributes ?? foundAsItIs(plan) ?? {};
  const steady = before === clusterEndpoint(spec) && type === spec.loadBalancer.type;
  const balanced = steady && !kinds.has("startLoadBalancer") && !kinds.has("stopLoadBalancer");
  try {
    const tls = await connection.tls();
    const lists = balanced
      ? spec.controlPlane.masters.map(() => [clusterEndpoint(spec)])
      : await memberLists(spec, connection);
    const clients = [
      ...lists.map((endpoints): ProbeClientRequest => ({ connects: false, endpoints, tls })),
      ...(balanced ? lists.slice(0, 1) : lists).map(
        (endpoints): ProbeClientRequest => ({ connects: true, endpoints, tls }),
      ),
    ];
    const endpoint = balanced || typeof before !== "string" ? null : { endpoints: [before], tls };
    const limit = budget === null ? {} : { maxGapMs: budget.maxMs };
    const probe = await ports.probeWrites({ clients, endpoint, ...limit }, (gapMs) => budget?.note(gapMs));
    const closely = new Set<StepAction>();
    return {
      stepStarted: ({ id, action }) => {
        probe.markStep(id, "started");
        if (!traitsOf(action).delaysWrites) return () => probe.markStep(id, "ended");
        probe.setPace("dense");
        closely.add(action);
        return () => {
          probe.markStep(id, "ended");
          closely.delete(action);
          if (closely.size === 0) probe.setPace("steady");
        };
      },
      stepDone: async (action) => {
        // Members are about to reject what the present clients connect with, or are those of another cluster.
        if (action.kind === "dropAuthority" || action.kind === "restoreMember") {
          const current = await connection.tls();
          const renewed = clients.map((client) => ({ ...client, tls: current }));
          probe.reconnect({ clients: renewed, endpoint: endpoint === null ? null : { ...endpoint, tls: current } });
        }
        if (endpoint === null || !settlesEndpoint(action)) return;
        probe.moveEndpoint({ endpoints: [clusterEndpoint(keeper.spec)], tls });
      },
      stop: () => probe.stop(),
    };
  } catch {
    return null;
  }
}

/** Any of several: they have one endpoint. */
function recordedBalancer(keeper: ProbeContext["keeper"]): ReturnType<ProbeContext["keeper"]["find"]> {
  const names = [...(keeper.spec.loadBalancer.hosts ?? []).map(({ name }) => name), loadBalancerName];
  return names
    .map((name) => keeper.find(resourceAddress("haplan_load_balancer", name)))
    .find((found) => found !== undefined);
}

/** Of one that the plan imports without a change, such as after the state was lost: the state does not have it yet. */
function foundAsItIs({ changes }: ProbeContext["plan"]): Attributes | null {
  const found = changes.find(
    ({ type, action, importing }) => type === "haplan_load_balancer" && action === "noop" && importing !== undefined,
  );
  return found?.after ?? null;
}

/** From then on the load balancer listens at its address in the spec. */
function settlesEndpoint(action: StepAction): boolean {
  if (action.kind !== "startLoadBalancer" && action.kind !== "updateLoadBalancer") return false;
  return action.listensAt === undefined;
}

/**
 * Endpoints for each client; each starts with another voter that serves now. The other masters come last: they are for
 * clients whose members all leave.
 */
async function memberLists(spec: ClusterSpec, connection: Connection): Promise<readonly (readonly string[])[]> {
  const membership = await (await connection.controlPlane()).observe().catch(() => null);
  const serving = (membership?.members ?? []).flatMap(({ learner, healthy, answeredAt }) =>
    learner || !healthy || answeredAt === undefined ? [] : [answeredAt],
  );
  const masters = spec.controlPlane.masters.filter(hasKnownAddress).map((master) => clientUrl(spec, master));
  const first = serving.length > 0 ? serving : masters;
  const last = masters.filter((url) => !first.includes(url));
  return first.map((_, at) => [...first.slice(at), ...first.slice(0, at), ...last]);
}
