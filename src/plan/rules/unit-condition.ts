/** Units in place: why one is replaced, and drift of units that do not run. */
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Attributes, ResourceAddress } from "../resource.ts";

export const filesChanged = "its files were changed outside of haplan";

/** `recorded`: its resource in the state; `digest`: of its observed definition, undefined if there is none. */
export function whyUnitDiffers(
  resource: DesiredResource,
  recorded: Attributes,
  digest: string | undefined,
): string | null {
  if (recorded["configDigest"] !== resource.attributes["configDigest"]) return "its configuration has changed";
  const written = recorded["definitionDigest"];
  const differs = typeof written === "string" && digest !== undefined && digest !== written;
  return differs ? filesChanged : null;
}

/**
 * Found running, of unknown origin: it is imported, and the step that starts it changes nothing if its definition
 * matches.
 */
const foundInCluster = "it exists already: recorded in the state";

/** Plans a running unit, changed for `reason`. */
export function planRunningUnit(address: ResourceAddress, reason: string, builder: PlanBuilder): void {
  builder.setAction(address, reason === foundInCluster ? "noop" : "update", reason);
}

/** For a unit without data that may be restarted at any time; `issued`: its certificate is issued again. */
export function whyUnitStartsAgain(
  resource: DesiredResource,
  unit: { readonly definitionDigest: string },
  recorded: Attributes | undefined,
  issued: boolean,
): string | null {
  if (issued) return "its certificate is issued again";
  if (recorded === undefined) return foundInCluster;
  return whyUnitDiffers(resource, recorded, unit.definitionDigest);
}

export function noteDeadUnit(
  address: ResourceAddress,
  condition: "stopped" | "unresponsive",
  builder: PlanBuilder,
): void {
  const stopped = condition === "stopped";
  builder.drift.push({
    address,
    action: "update",
    reason: stopped ? "its process is gone" : "its process does not answer",
    before: { status: "running" },
    after: { status: stopped ? "stopped" : "not answering" },
  });
}
