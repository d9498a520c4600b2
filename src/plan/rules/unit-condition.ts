/** Units in place: why one is replaced, and drift of units that do not run. */

import { unitUserName } from "../../base/host-paths.ts";
import type { Json } from "../../base/json.ts";
import { type ChangeReason, type CodedReason, newCertificate, processGone, processSilent } from "../change-reason.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { FormerUser, ObservedUnit } from "../observed-cluster.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Attributes, ResourceAddress } from "../resource.ts";

const filesChanged = "its files were changed outside of haplan";

/** Of more changed files, the rest is counted. */
const filesNamed = 3;

/** What others may change of a unit. */
export type ChangeableUnit = Pick<ObservedUnit, "changedFiles" | "formerUser">;

/** Why its definition is not what was written: the user, or the files with their paths, where these are known. */
export function changedOutsideReason({ changedFiles = [], formerUser }: ChangeableUnit): string {
  if (formerUser !== undefined) return formerUserReason(formerUser);
  if (changedFiles.length === 0) return filesChanged;
  const more = changedFiles.length - filesNamed;
  return `${filesChanged}: ${changedFiles.slice(0, filesNamed).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Its process could not write to what is given to the present user, nor start again with what is not. */
function formerUserReason({ runsAs, present }: FormerUser): string {
  const now =
    present === null ? `there is no user "${unitUserName}" any more` : `"${unitUserName}" is ${present} by now`;
  return `its process runs as user ${runsAs}, and ${now}`;
}

/** Its files may be changed as well, such as the link of a unit that was stopped and disabled. */
export function processGoneReason(found: ChangeableUnit | undefined): CodedReason {
  return withChangedFiles(processGone, found);
}

/** Changed files may be why it does not answer, such as a certificate and key that do not match. */
export function processSilentReason(found: ChangeableUnit | undefined): CodedReason {
  return withChangedFiles(processSilent, found);
}

function withChangedFiles(reason: CodedReason, found: ChangeableUnit | undefined): CodedReason {
  if (found?.changedFiles === undefined && found?.formerUser === undefined) return reason;
  return { ...reason, text: `${reason.text}, and ${changedOutsideReason(found)}` };
}

const versionChanges = "its version of haplan changes";
const versionNotRecorded = "it runs its version of haplan already, and the state has another one or none";
export const configurationChanged = "its configuration has changed";

type FoundUnit = ChangeableUnit & Pick<ObservedUnit, "definitionDigest" | "artifact">;

/** Whether its program has to be started with another version, or the state does not say that it was. */
export function needsVersion(
  { attributes }: DesiredResource,
  recorded: Attributes | undefined,
  found: FoundUnit | undefined,
): boolean {
  const wanted = attributes["artifact"];
  if (wanted === undefined) return false;
  if (found?.artifact !== undefined && found.artifact !== wanted) return true;
  return recorded !== undefined && recorded["artifact"] !== wanted;
}

/** What differs where `needsVersion` holds: it may run the version already, and its configuration may change as well. */
export function versionReason(
  { attributes }: DesiredResource,
  recorded: Attributes | undefined,
  found: FoundUnit | undefined,
): string {
  const reason = found?.artifact === attributes["artifact"] ? versionNotRecorded : versionChanges;
  const isReconfigured = recorded !== undefined && recorded["configDigest"] !== attributes["configDigest"];
  return isReconfigured ? `${reason}, and ${configurationChanged}` : reason;
}

/** `recorded`: its resource in the state; `found`: undefined if there is none. */
export function whyUnitDiffers(
  resource: DesiredResource,
  recorded: Attributes,
  found: FoundUnit | undefined,
): string | null {
  if (needsVersion(resource, recorded, found)) return versionReason(resource, recorded, found);
  if (recorded["configDigest"] !== resource.attributes["configDigest"]) return configurationChanged;
  const written = recorded["definitionDigest"];
  if (typeof written !== "string" || found === undefined || found.definitionDigest === written) return null;
  return changedOutsideReason(found);
}

/**
 * Found running, of unknown origin: it is imported, and the step that starts it changes nothing if its definition
 * matches.
 */
const foundInCluster = "it exists already: recorded in the state";

/** Plans a running unit, changed for `reason`. */
export function planRunningUnit(address: ResourceAddress, reason: ChangeReason, builder: PlanBuilder): void {
  builder.setAction(address, reason === foundInCluster ? "noop" : "update", reason);
}

/** For a unit without data that may be restarted at any time; `issued`: its certificate is issued again. */
export function whyUnitStartsAgain(
  resource: DesiredResource,
  unit: FoundUnit,
  recorded: Attributes | undefined,
  issued: boolean,
): ChangeReason | null {
  if (issued) return newCertificate;
  if (recorded === undefined) return foundInCluster;
  return whyUnitDiffers(resource, recorded, unit);
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

const otherVersion = "it runs another version of haplan than the state has";

/** Another version than the one that the state has, such as after an upgrade that was undone by hand. */
export function noteVersion(
  address: ResourceAddress,
  recorded: Json | undefined,
  found: string | undefined,
  builder: PlanBuilder,
): void {
  if (found === undefined || recorded === undefined || found === recorded) return;
  if (builder.drift.some((note) => note.address === address && note.reason === otherVersion)) return;
  builder.drift.push({
    address,
    action: "update",
    reason: otherVersion,
    before: { artifact: recorded },
    after: { artifact: found },
  });
}
