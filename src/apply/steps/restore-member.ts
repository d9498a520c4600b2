/** The data of a member, replaced by that of a backup. The agent is stopped before and started after, by other steps. */
import type { StepAction } from "../../plan/step.ts";
import { restoreCommand } from "../../units/restore-command.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

export async function restoreMember(
  context: StepContext,
  action: StepAction & { readonly kind: "restoreMember" },
): Promise<StepOutputs> {
  const { plan, ports, keeper, signal } = context;
  const { member, source, join, bumpRevision } = action;
  // Members of an earlier restore, or of the cluster before, have another cluster id, and cannot join these.
  const token = `${keeper.state.lineage}-${action.token}`;
  const { replacesCluster } = action;
  const command = restoreCommand(plan.spec, { member, join, token, bumpRevision, replacesCluster });
  context.detail(`restoring ${source.sizeBytes} bytes`);
  await ports.provider.restoreData(member, { snapshot: source.snapshot, id: action.token, command }, signal);
  // A member makes a call with a token of the former cluster wait until its log is as long as that one's (etcd's auth.go).
  context.connection.forget();
  return {};
}
