/** The last check before adopted members get new peers: nothing has been changed if it fails. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { ObservedMembership } from "../../plan/observed-cluster.ts";
import { resourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

type CheckMembers = StepAction & { readonly kind: "checkMembers" };

/** Far enough apart for an election to be visible between two of them. */
const sampleIntervalMs = 1_000;

export async function checkMembers(context: StepContext, action: CheckMembers): Promise<StepOutputs> {
  const { clock } = context.ports;
  const { healthSamples } = context.plan.spec.policy;
  let before: ObservedMembership | null = null;
  for (let sample = 1; sample <= healthSamples; sample += 1) {
    if (sample > 1) await clock.sleep(sampleIntervalMs, context.signal);
    const membership = await (await context.connection.controlPlane()).observe();
    const problems = problemsOf(membership, before, action);
    if (problems.length > 0) {
      throw new HaplanError(
        "apply/adopt-check",
        `The members cannot be adopted now: ${problems.join("; ")}. Nothing was changed`,
      );
    }
    context.detail(`${sample} of ${healthSamples} samples were good`);
    before = membership;
  }
  return Object.fromEntries(
    action.members.map(({ name, memberId, peerUrl }) => [
      resourceAddress("haplan_raft_member", name),
      { memberId, peerUrl },
    ]),
  );
}

function problemsOf(
  membership: ObservedMembership | null,
  before: ObservedMembership | null,
  action: CheckMembers,
): readonly string[] {
  if (membership === null) return ["none of them answers"];
  const leaderOf = (of: ObservedMembership): string | undefined => of.members.find((member) => member.leader)?.id;
  const foreign = membership.foreignEndpoints?.map(({ endpoint }) => `${endpoint} answers for another cluster`) ?? [];
  return [
    ...(membership.clusterId === action.clusterId ? [] : [`the cluster is ${membership.clusterId}, not as planned`]),
    ...foreign,
    ...(membership.hasLeader ? [] : ["they have no leader"]),
    ...(before !== null && leaderOf(before) !== leaderOf(membership) ? ["their leader has just changed"] : []),
    ...action.members.flatMap(({ name, memberId }) => {
      const found = membership.members.find((member) => member.id === memberId);
      if (found === undefined || found.learner) return [`${name} does not vote`];
      const alarms = found.alarms ?? [];
      return [...(found.healthy ? [] : [`${name} is not healthy`]), ...alarms.map((alarm) => `${name}: ${alarm}`)];
    }),
  ];
}
