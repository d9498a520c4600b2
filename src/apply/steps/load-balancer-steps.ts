/** The load balancer's unit, with the backends that the step names. */
import type { StepAction } from "../../plan/step.ts";
import { unitDigest } from "../../providers/unit-digest.ts";
import { loadBalancerBlueprint, loadBalancerName } from "../../units/load-balancer-unit.ts";
import { loadBalancerUnitName } from "../../units/unit-definition.ts";
import { carriedCertificate } from "../carried-certificate.ts";
import { materializeUnit } from "../materialize-unit.ts";
import type { StepFacts } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

const stopGraceMs = 2_000;

/** Starting and updating are one act: the unit runs with exactly this definition when it returns. */
export async function startLoadBalancer(
  { plan, ports, keeper, signal }: StepContext,
  action: StepAction & { readonly kind: "startLoadBalancer" | "updateLoadBalancer" },
): Promise<StepFacts> {
  const blueprint = loadBalancerBlueprint(plan.spec, action);
  const unit = await materializeUnit(blueprint, ports.authority);
  const { pid } = await ports.provider.startUnit(loadBalancerName, unit, signal);
  return { pid, definitionDigest: unitDigest(unit), ...carriedCertificate(keeper, blueprint) };
}

export async function stopLoadBalancer({ ports, signal }: StepContext): Promise<StepFacts> {
  await ports.provider.stopUnit(loadBalancerName, loadBalancerUnitName, stopGraceMs, signal);
  return {};
}
