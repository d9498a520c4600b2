/**
 * Adopts running members without changing them. They are checked again when apply starts, and all other steps wait for
 * that; a snapshot is taken before the membership changes.
 */

import { majorityOf } from "../../../base/majority.ts";
import type { ClusterSpec } from "../../../spec/cluster-spec.ts";
import { clientUrl } from "../../../units/addresses.ts";
import type { MemberView } from "../../cluster-view.ts";
import type { Planning } from "../../planning.ts";
import { canLose, modelOf } from "../../quorum-model.ts";
import { resourceAddress } from "../../resource.ts";
import type { WithMasters } from "../stages.ts";

export function hasAdopted(spec: ClusterSpec): boolean {
  return spec.controlPlane.masters.some((master) => master.adoptedAt !== undefined);
}

export function planAdoption(planning: WithMasters): void {
  const { view, masterChanges, builder } = planning;
  const adopted = masterChanges.kept.map((master) => master.voter).filter((voter) => voter.adopted);
  const fresh = adopted.filter((voter) => !view.resources.has(resourceAddress("haplan_raft_member", voter.name)));
  for (const voter of fresh) {
    builder.setAction(resourceAddress("haplan_raft_member", voter.name), "noop", "running: adopted as it is");
  }
  if (adopted.length === 0 || (fresh.length === 0 && masterChanges.joining.length === 0)) return;
  builder.chain(
    {
      kind: "checkMembers",
      clusterId: planning.observed.membership?.clusterId ?? "",
      members: adopted.map((voter) => ({
        name: voter.name,
        memberId: voter.id,
        clientUrl: endpointOf(planning.spec, voter),
        peerUrl: voter.peerUrl,
      })),
    },
    adopted.map((voter) => resourceAddress("haplan_raft_member", voter.name)),
  );
  if (masterChanges.joining.length > 0) {
    builder.chain({ kind: "takeSnapshot", required: planning.spec.policy.backupBeforeMembershipChange }, []);
    sayWhatChanges(planning, planning.spec);
  }
  builder.addBarrier();
}

function endpointOf(spec: ClusterSpec, voter: MemberView): string {
  return clientUrl(spec, spec.controlPlane.masters.find((master) => master.name === voter.name)!);
}

/** The risk of the current configuration, in numbers. */
function sayWhatChanges({ view, builder }: Planning, { controlPlane }: ClusterSpec): void {
  const now = view.members.filter((member) => member.voter).length;
  const then = controlPlane.masters.length;
  const tolerance = then - majorityOf(then);
  builder.warn(
    "plan/adopted-design",
    `The current ${now} voters tolerate ${canLose(modelOf(view)) ?? 0} failures`,
    `Every write needs ${majorityOf(now)} of ${now}${now === 2 ? ": if either fails, writes stop" : ""}. After this plan ${then} voters tolerate ${tolerance} ${tolerance === 1 ? "failure" : "failures"} of any member.`,
  );
}
