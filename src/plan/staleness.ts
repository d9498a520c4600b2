/** A plan is valid for the moment that it was made for: its binding is compared with the present. */
import type { Diagnostic } from "../base/diagnostic.ts";
import type { Plan, PlanBinding } from "./plan.ts";

/**
 * Null if nothing has changed; else one diagnostic that names all changes. Not for an interrupted plan: it has caused
 * changes itself.
 */
export function checkStaleness(plan: Plan, present: PlanBinding): Diagnostic | null {
  const bound = plan.binding;
  const moved = [
    ...(bound.specDigest === present.specDigest ? [] : ["the spec: it was edited"]),
    ...stateMoves(bound, present),
    ...(bound.haplanVersion === present.haplanVersion
      ? []
      : [`haplan: planned by version ${bound.haplanVersion}, this is ${present.haplanVersion}`]),
    ...(bound.artifact === present.artifact
      ? []
      : [
          `haplan's programs: planned with ${bound.artifact ?? "any version"}, now ${present.artifact ?? "any version"}`,
        ]),
    ...membershipMoves(bound.membership, present.membership),
  ];
  if (moved.length === 0) return null;
  return {
    severity: "error",
    code: "plan/stale",
    summary: "Saved plan is stale",
    detail: `These have changed since it was made:\n${moved.map((text) => `  - ${text}`).join("\n")}\nMake a new plan, and review it.`,
  };
}

function stateMoves(bound: PlanBinding, present: PlanBinding): readonly string[] {
  if (bound.stateLineage !== present.stateLineage) {
    return [
      `the state: it has another lineage (${present.stateLineage ?? "none"}, planned for ${bound.stateLineage ?? "none"})`,
    ];
  }
  if (bound.stateSerial !== present.stateSerial) {
    return [`the state: its serial is ${present.stateSerial}, planned for ${bound.stateSerial}`];
  }
  return [];
}

type Membership = PlanBinding["membership"];

function membershipMoves(bound: Membership, present: Membership): readonly string[] {
  if (bound === null && present === null) return [];
  if (bound === null) return ["the membership: there was no cluster, and now there is one"];
  if (present === null) return ["the membership: no member answers any more"];
  if (bound.clusterId !== present.clusterId) return ["the membership: another cluster answers"];
  return [
    ...difference("voter", bound.voters, present.voters),
    ...difference("learner", bound.learners, present.learners),
    ...(bound.configurationIndex === present.configurationIndex
      ? []
      : [
          `the membership: its last change is at log index ${present.configurationIndex ?? "unknown"}, planned for ${bound.configurationIndex ?? "unknown"}`,
        ]),
  ];
}

/** A promoted learner is one learner less and one voter more. */
function difference(role: string, bound: readonly string[], present: readonly string[]): readonly string[] {
  const came = present.filter((id) => !bound.includes(id)).map((id) => `the membership: there is a new ${role}, ${id}`);
  const went = bound.filter((id) => !present.includes(id)).map((id) => `the membership: ${role} ${id} is gone`);
  return [...came, ...went];
}
