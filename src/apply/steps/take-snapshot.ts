/**
 * A snapshot of the data before the membership changes: a failure is a warning, or an error if the snapshot is
 * required.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { StepAction } from "../../plan/step.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

export async function takeSnapshot(
  context: StepContext,
  action: StepAction & { readonly kind: "takeSnapshot" },
): Promise<StepOutputs> {
  const { clock, snapshots } = context.ports;
  const name = new Date(clock.now()).toISOString().replaceAll(":", "-");
  try {
    const kept = await snapshots.keep(name, (await context.connection.controlPlane()).snapshot());
    const { notUploaded } = kept;
    if (notUploaded !== undefined && action.required) throw noBackup(notUploaded);
    if (notUploaded !== undefined) context.warn(`The snapshot stays in ${kept.path}. ${notUploaded.message}`);
    context.detail(`${kept.sizeBytes} bytes kept`);
    return { path: kept.path, sha256: kept.sha256, sizeBytes: kept.sizeBytes };
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code !== "control-plane/no-snapshot") throw error;
    if (action.required) throw noBackup(error);
    context.warn(`No snapshot was taken. ${error.message}`);
    return { skipped: error.message };
  }
}

function noBackup(cause: HaplanError): HaplanError {
  return new HaplanError(
    "apply/no-backup",
    `${cause.message.replace(/\.$/, "")}. policy.backupBeforeMembershipChange requires one, so the membership is not changed. Set it to false to continue without`,
    { cause },
  );
}
