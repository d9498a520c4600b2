/** The pure half of the local provider: a machine is a directory, and the load balancer is a unit on a machine of its own. */
import type { ProviderModel } from "../../plan/provider-model.ts";
import { loadBalancerOnMachines } from "../load-balancer-hosts.ts";
import type { CallLimits } from "../machine-calls.ts";

export const localModel: ProviderModel = {
  sharesFiles: true,
  describeMachine: () => ({ attributes: {}, unknown: [], replacedBy: [] }),
  describeLoadBalancer: loadBalancerOnMachines,
};

/** Calls to local processes always return, so they are completed and never aborted. */
export const localLimits: CallLimits = { machinesAtOnce: 10, callTimeoutMs: null };
