/** Units that are where they belong: why one is made anew in its place, and what is told of one that does not run. */
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { Attributes, ResourceAddress } from "../resource.ts";

export const filesChanged = "its files were changed outside of haplan";

/** `recorded`: what the state knows of it; `digest`: of its definition as found, undefined where there is none. */
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
 * Found running, of unknown making: it is imported, and the step that starts it changes nothing when it is as it should
 * be.
 */
const foundInTheWorld = "it exists already: recorded in the state";

/** Judges a running unit that is made as `reason` says. */
export function judgeRunningUnit(address: ResourceAddress, reason: string, draft: PlanDraft): void {
  draft.judge(address, reason === foundInTheWorld ? "noop" : "update", reason);
}

/** Of a unit that keeps nothing and may be started again at any time; `issued`: its certificate is issued anew. */
export function whyUnitStartsAgain(
  resource: DesiredResource,
  unit: { readonly definitionDigest: string },
  recorded: Attributes | undefined,
  issued: boolean,
): string | null {
  if (issued) return "its certificate is issued anew";
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
