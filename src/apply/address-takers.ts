/** The load balancers to which a plan gives a virtual address that they do not have in force. Pure. */
import type { Plan, ResourceChange } from "../plan/plan.ts";
import { specName } from "../plan/resource.ts";
import type { StepAction } from "../plan/step.ts";
import { balancerOf } from "../units/load-balancer-unit.ts";

export type BalancerAction = StepAction & { readonly kind: "startLoadBalancer" | "updateLoadBalancer" };

/** The last step that writes the configuration of each of them; none where there is no virtual address. */
export function addressTakers({ mode, spec, changes, steps }: Plan): readonly BalancerAction[] {
  if (mode === "destroy" || spec.loadBalancer.virtual === undefined) return [];
  const takers = new Set(changes.filter(takesAddress).map(({ name }) => specName(name)));
  const last = new Map<string, BalancerAction>();
  for (const { action } of steps) {
    if (action.kind !== "startLoadBalancer" && action.kind !== "updateLoadBalancer") continue;
    // Until then it serves at its former address.
    if (action.listensAt === undefined && takers.has(balancerOf(action))) last.set(balancerOf(action), action);
  }
  return [...last.values()];
}

/** With a lost state, nothing is known of what was in force; the plan updates those whose hosts tell another address. */
function takesAddress({ type, action, before, after }: ResourceChange): boolean {
  if (type !== "haplan_load_balancer" || after === null || action === "noop" || action === "delete") return false;
  return before?.["address"] !== after["address"] || before?.["routerId"] === undefined;
}
