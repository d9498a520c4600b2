/** A snapshot of the data before the membership changes: what cannot be had is said, or, when it is required, stops. */
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
    context.detail(`${kept.sizeBytes} bytes kept`);
    return { path: kept.path, sha256: kept.sha256, sizeBytes: kept.sizeBytes };
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code !== "control-plane/no-snapshot") throw error;
    if (action.required) {
      throw new HaplanError(
        "apply/no-backup",
        `${error.message}. policy.backupBeforeMembershipChange asks for one, so the membership stays as it is. Write false there to go on without`,
        { cause: error },
      );
    }
    context.warn(`No snapshot was taken. ${error.message}`);
    return { skipped: error.message };
  }
}
