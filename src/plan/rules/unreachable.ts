/** What a plan says of machines that could not be looked at, and where it cannot do without them. */

import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import { loadBalancerAddress } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";

export function checkUnreachable({ mode, state, desired, world, draft }: Planning): void {
  for (const { name, reason } of world.unreachable) {
    const machine = resourceAddress("haplan_machine", name);
    const runsElsewhere = name === loadBalancerName && !desired.some((resource) => resource.address === machine);
    const address = runsElsewhere ? loadBalancerAddress : machine;
    const isKnown = state?.resources.some((resource) => resource.address === address) === true;
    const isWanted = desired.some((resource) => resource.address === address);
    if (mode === "destroy") {
      draft.refuse(
        "plan/unreachable",
        `${address} is unreachable, so what is on it cannot be removed`,
        `${reason}. Make it reachable, and destroy again.`,
        address,
      );
    } else if (isWanted && (world.phase !== "formed" || !isKnown)) {
      draft.refuse(
        "plan/unreachable",
        `${address} is unreachable, and the state does not know what is on it`,
        `${reason}. Make it reachable, or leave it out of the spec.`,
        address,
      );
    } else if (isKnown) {
      draft.warn(
        "plan/unreachable",
        `${address} is unreachable`,
        `${reason}. ${runsElsewhere ? "How it is is not known, and it stays as it is" : "What is on it is not known and stays as it is"}: this plan changes nothing there. It is not replaced for that; to replace it nevertheless, plan with -replace=${address}.`,
      );
    }
  }
}

/** A master that has to be changed, or made anew, where nothing can be done. */
export function refuseUnreachableMaster(name: string, why: string, draft: PlanDraft): void {
  const address = resourceAddress("haplan_machine", name);
  draft.refuse(
    "plan/unreachable",
    `${address} is unreachable, and master ${name} cannot be left as it is: ${why}`,
    `Make it reachable and plan again. If it is lost for good, plan with -replace=${address}.`,
    address,
  );
}
