/** The pure half of the local provider: a machine is a directory, and the load balancer is a unit on a machine of its own. */
import type { ProviderModel } from "../../plan/provider-model.ts";
import { loadBalancerOnMachine } from "../load-balancer-hosts.ts";

export const localModel: ProviderModel = {
  describeMachine: () => ({ attributes: {}, unknown: [], replacedBy: [] }),
  describeLoadBalancer: loadBalancerOnMachine,
};
