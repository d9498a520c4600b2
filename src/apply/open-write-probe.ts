/** Which clients the write probe is made of, for a plan. */
import { loadBalancerAddress } from "../plan/desired-resources.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { clientUrl, clusterEndpoint } from "../units/addresses.ts";
import type { ProbeClientRequest, RunningProbe } from "./ports.ts";
import type { Connection, StepContext } from "./step-context.ts";

type ProbeContext = Pick<StepContext, "plan" | "ports" | "keeper" | "connection">;

/**
 * Through the load balancer where it is not itself what is being changed: as the cluster's users see it. Null where
 * nothing can be measured: that is no reason not to apply.
 */
export async function openWriteProbe(context: ProbeContext): Promise<RunningProbe | null> {
  const { plan, ports, keeper, connection } = context;
  const { spec, steps } = plan;
  const kinds = new Set(steps.map((step) => step.action.kind));
  const steady = keeper.find(loadBalancerAddress)?.attributes["endpoint"] === clusterEndpoint(spec);
  const balanced = steady && !kinds.has("startLoadBalancer") && !kinds.has("stopLoadBalancer");
  try {
    const tls = await connection.tls();
    const lists = balanced
      ? spec.controlPlane.masters.map(() => [clusterEndpoint(spec)])
      : await memberLists(spec, connection);
    return await ports.probeWrites([
      ...lists.map((endpoints): ProbeClientRequest => ({ connects: false, endpoints, tls })),
      ...(balanced ? lists.slice(0, 1) : lists).map(
        (endpoints): ProbeClientRequest => ({ connects: true, endpoints, tls }),
      ),
    ]);
  } catch {
    return null;
  }
}

/**
 * Endpoints for each client, of which each begins with another voter that serves now. The other masters come last: they
 * are there for clients whose members all leave.
 */
async function memberLists(spec: ClusterSpec, connection: Connection): Promise<readonly (readonly string[])[]> {
  const membership = await (await connection.controlPlane()).observe().catch(() => null);
  const serving = (membership?.members ?? []).flatMap(({ learner, healthy, answeredAt }) =>
    learner || !healthy || answeredAt === undefined ? [] : [answeredAt],
  );
  const masters = spec.controlPlane.masters.map((master) => clientUrl(spec, master));
  const first = serving.length > 0 ? serving : masters;
  const last = masters.filter((url) => !first.includes(url));
  return first.map((_, at) => [...first.slice(at), ...first.slice(0, at), ...last]);
}
