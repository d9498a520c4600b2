/** The load balancer, with the backends that the step names. */
import { loadBalancerAddress } from "../../plan/desired-resources.ts";
import type { StepAction } from "../../plan/step.ts";
import { loadBalancerBlueprint, loadBalancerConfig } from "../../units/load-balancer-unit.ts";
import { carriedCertificate } from "../carried-certificate.ts";
import { materializeUnit } from "../materialize-unit.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

/** Starting and updating are the same operation: it runs with exactly this configuration on return. */
export async function startLoadBalancer(
  context: StepContext,
  action: StepAction & { readonly kind: "startLoadBalancer" | "updateLoadBalancer" },
): Promise<StepOutputs> {
  const { plan, ports, keeper, signal } = context;
  const blueprint = loadBalancerBlueprint(plan.spec, action);
  const { hosts, attributes } = ports.provider.model.describeLoadBalancer(plan.spec);
  const wanted = {
    lineage: keeper.state.lineage,
    attributes,
    config: loadBalancerConfig(plan.spec, action),
    unit: () => materializeUnit(blueprint, ports.authority),
  };
  const facts = await ports.loadBalancer.ensure(wanted, signal);
  return hosts.length === 0
    ? facts
    : { ...facts, ...(await carriedCertificate(context, loadBalancerAddress, blueprint)) };
}

export async function stopLoadBalancer({ ports, signal }: StepContext): Promise<StepOutputs> {
  await ports.loadBalancer.remove(signal);
  return {};
}
