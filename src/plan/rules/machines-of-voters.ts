/**
 * A machine is not destroyed while a voter has its address, whatever name state and members give that voter: its
 * process and its data may be on this machine.
 */

import { agentUnitName } from "../../units/unit-definition.ts";
import { type ClusterView, isAt, type MemberView, machineOf, unitOf } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import type { Step, StepAction } from "../step.ts";

export function keepMachinesOfVoters({ view, builder }: Planning, steps: readonly Step[]): void {
  if (view.phase !== "formed") return;
  // Voters with a machine of their own name are covered by the rules for masters.
  let unplaced = view.members.filter(
    (member) => member.voter && member.answers && !member.adopted && machineOf(view, member) === undefined,
  );
  for (const [position, { action, title }] of steps.entries()) {
    const voter = action.kind === "destroyMachine" ? voterThere(action, unplaced, view) : undefined;
    if (voter !== undefined && action.kind === "destroyMachine") {
      builder.refuse(
        "plan/machine-of-voter",
        `Step ${position + 1} (${title}) would destroy a machine at the address of voter ${voter.name}`,
        `Voter ${voter.name} (member id ${voter.id}) is at ${voter.peerUrl}, and an agent runs on machine ${action.machine} at that address. The state has the member under another name than its machine. To rename it to the machine's name:`,
        null,
        [["state", "mv", `haplan_raft_member.${voter.name}`, `haplan_raft_member.${action.machine}`]],
      );
      return;
    }
    unplaced = unplaced.filter((member) => !losesItsVote(action, member));
  }
}

function voterThere(
  { machine, generation }: Extract<StepAction, { readonly kind: "destroyMachine" }>,
  voters: readonly MemberView[],
  view: ClusterView,
): MemberView | undefined {
  const found = generation === undefined ? view.machines.get(machine) : undefined;
  if (found === undefined || unitOf(found, agentUnitName)?.running !== true) return undefined;
  return voters.find(({ peerUrl }) => isAt(peerUrl, found.address));
}

function losesItsVote(action: StepAction, { id }: MemberView): boolean {
  if (action.kind === "removeMember") return action.memberId === id;
  return action.kind === "changeVoters" && action.to.every(({ memberId }) => memberId !== id);
}
