/** Units in place: why one is replaced, and drift of units that do not run. */
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
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
const foundInTheWorld = "it exists already: recorded in the state";

/** Plans a running unit, changed for `reason`. */
export function judgeRunningUnit(address: ResourceAddress, reason: string, draft: PlanDraft): void {
  draft.judge(address, reason === foundInTheWorld ? "noop" : "update", reason);
}

/** For a unit without data that may be restarted at any time; `issued`: its certificate is issued again. */
export function whyUnitStartsAgain(
  resource: DesiredResource,
  unit: { readonly definitionDigest: string },
  recorded: Attributes | undefined,
  issued: boolean,
): string | null {
  if (issued) return "its certificate is issued again";
  if (recorded === undefined) return foundInTheWorld;
  return whyUnitDiffers(resource, recorded, unit.definitionDigest);
}

export function noteDeadUnit(address: ResourceAddress, condition: "stopped" | "silent", draft: PlanDraft): void {
  const stopped = condition === "stopped";
  draft.drift.push({
    address,
    action: "update",
    reason: stopped ? "its process is gone" : "its process does not answer",
    before: { status: "running" },
    after: { status: stopped ? "stopped" : "not answering" },
  });
}
