/** Which clients the write probe is made of, for a plan. */
import { loadBalancerAddress } from "../plan/desired-resources.ts";
import { clientUrl, clusterEndpoint } from "../units/addresses.ts";
import type { ProbeClientRequest, RunningProbe } from "./ports.ts";
import type { StepContext } from "./step-context.ts";

/**
 * Through the load balancer where it is not itself what is being changed: as the cluster's users see it. Null where
 * nothing can be measured: that is no reason not to apply.
 */
export async function openWriteProbe(
  context: Pick<StepContext, "plan" | "ports" | "keeper" | "connection">,
): Promise<RunningProbe | null> {
  const { plan, ports, keeper, connection } = context;
  const { spec, steps } = plan;
  const { masters } = spec.controlPlane;
  const kinds = new Set(steps.map((step) => step.action.kind));
  const steady = keeper.find(loadBalancerAddress)?.attributes["endpoint"] === clusterEndpoint(spec);
  const balanced = steady && !kinds.has("startLoadBalancer") && !kinds.has("stopLoadBalancer");
  const endpoints = balanced ? [clusterEndpoint(spec)] : masters.map((master) => clientUrl(spec, master));
  try {
    const tls = await connection.tls();
    // Where there are several endpoints, each client has another one to begin with.
    const client = (connects: boolean, at: number): ProbeClientRequest => {
      const first = at % endpoints.length;
      return { connects, endpoints: [...endpoints.slice(first), ...endpoints.slice(0, first)], tls };
    };
    return await ports.probeWrites([
      ...masters.map((_, at) => client(false, at)),
      ...endpoints.map((_, at) => client(true, at)),
    ]);
  } catch {
    return null;
  }
}
