/** A plan that would do nothing but wait for a quorum that cannot come back while machines are unreachable. */

import { majorityOf } from "../../base/majority.ts";
import { type MemberView, memberCondition } from "../cluster-view.ts";
import { whyUnreachable } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import type { Step } from "../step.ts";

export function refuseWaitInVain({ view, builder }: Planning, steps: readonly Step[]): void {
  if (view.hasLeader || steps.length === 0 || steps.some(({ action }) => action.kind !== "awaitQuorum")) return;
  const voters = view.members.filter(({ voter }) => voter);
  const away = voters.filter((member) => isAway(memberCondition(view, member)));
  const needed = majorityOf(voters.length);
  if (voters.length - away.length >= needed) return;
  const why = (member: MemberView): string =>
    `${member.name}: ${whyUnreachable(view.unreachable, member.name) ?? "it does not answer"}.`;
  builder.refuse(
    "plan/quorum-lost",
    `There is no quorum: ${voters.length - away.length} of ${voters.length} voters can be reached, and ${needed} are needed`,
    `${away.map(why).join("\n")}\nThere is nothing to do but wait for them: once they answer, plan again. If they are lost for good, the cluster can be rebuilt from the member that has the most:`,
    null,
    [["recover"]],
  );
}

function isAway(condition: ReturnType<typeof memberCondition>): boolean {
  return condition === "unreachable" || condition === "adoptedUnreachable";
}
