/** Destroys that find none of the machines. */
import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import { planChanges } from "./planner.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const state = settledState(three);
const observed = { ...settledObservation(three), machines: [] };

describe("a destroy that finds no machine", () => {
  it("F1: is refused while members answer", () => {
    const { refusal } = planChanges(fixtureInput(three, { state, mode: "destroy", observed }));
    expect(refusal).toMatchObject([
      { code: "plan/members-answer", summary: "No machine of the cluster is found, but m1, m2, m3 answer" },
    ]);
  });

  it("is made where none answers", () => {
    const { plan } = planChanges(
      fixtureInput(three, { state, mode: "destroy", observed: { ...observed, membership: null } }),
    );
    expect(plan?.steps.map(({ action }) => action.kind)).toContain("removeAuthority");
  });
});
