import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import { type PlanResult, planChanges, planTellsChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import { installsPrograms } from "./rules/unreachable.ts";
import type { StepAction } from "./step.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const reason = "ssh: connect to host 127.0.1.2 port 22: No route to host";

/** A cluster in peace but for one machine that cannot be looked at; its member answers or does not. */
function without(name: string, answers: boolean, spec: ClusterSpec = three): ObservedCluster {
  const settled = settledObservation(spec);
  const { membership } = settled;
  return {
    ...settled,
    machines: settled.machines.filter((machine) => machine.name !== name),
    unreachable: [{ name, reason }],
    membership: membership && {
      ...membership,
      members: membership.members.map((member) =>
        member.name === name && !answers ? { ...member, healthy: false, raftIndex: null, leader: false } : member,
      ),
    },
  };
}

function withAddress(name: string, address: string): ClusterSpec {
  const masters = three.controlPlane.masters.map((master) => (master.name === name ? { ...master, address } : master));
  return { ...three, controlPlane: { ...three.controlPlane, masters } };
}

const plan = (spec: ClusterSpec, observed: ObservedCluster, more: Partial<PlannerInput> = {}): PlanResult =>
  planChanges(fixtureInput(spec, { state: settledState(three), observed, ...more }));
const titles = ({ steps }: Plan): string[] => steps.map(({ title }) => title);

describe("a machine that is unreachable", () => {
  it.each([true, false])("is planned as the state has it, and told (its member answers: %s)", (answers) => {
    const { plan: made } = plan(three, without("m2", answers));
    expect(titles(made!)).toEqual([]);
    expect(made!.changes.filter(({ action }) => action !== "noop")).toEqual([]);
    expect(made!.warnings.map(({ summary }) => summary)).toContain("haplan_machine.m2 is unreachable");
    expect(made!.drift.map((each) => each.address)).toEqual(answers ? [] : ["haplan_raft_member.m2"]);
  });

  it.each([true, false])("B5: is a change for apply where its host lacks haplan's programs alone (%s)", (missing) => {
    const lost = { name: "m2", reason, ...(missing ? { programsMissing: true as const } : {}) };
    const { plan: made } = plan(three, { ...without("m2", true), unreachable: [lost] });
    expect([titles(made!), installsPrograms(made!), planTellsChanges(made!)]).toEqual([[], missing, true]);
    expect(made!.warnings).toMatchObject([{ code: missing ? "plan/programs-missing" : "plan/unreachable" }]);
  });

  it.each([true, false])("is not one to replace where its host refuses haplan (%s)", (isRefused) => {
    const silent = { name: "m2", reason, ...(isRefused ? { refused: true as const } : {}) };
    const { plan: made } = plan(three, { ...without("m2", true), unreachable: [silent] });
    expect(made!.warnings.map(({ detail = "" }) => /-replace=/.test(detail))).toEqual([!isRefused]);
  });

  it("is told apart from one that is gone, whose voter is replaced", () => {
    const { unreachable: _, ...gone } = without("m2", false);
    expect(titles(plan(three, gone).plan!)).toContain("create machine m2 (generation 2)");
  });

  it("is replaced when that is asked for", () => {
    for (const address of ["haplan_machine.m2", "haplan_raft_member.m2"]) {
      const { plan: made } = plan(three, without("m2", false), { replace: [address] });
      expect(titles(made!)).toContain("create machine m2 (generation 2)");
      expect(made!.changes.find((change) => change.address === "haplan_raft_member.m2")?.action).not.toBe("noop");
    }
  });

  it("takes no step, while the rest is planned", () => {
    const fewer = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
    const { plan: made } = plan(fewer, without("w1", true));
    expect(titles(made!)).toEqual(["stop worker w2", "destroy machine w2", expect.stringContaining("w2")]);
    const both = plan(fewer, { ...without("w2", true), unreachable: [{ name: "w2", reason }] });
    expect(titles(both.plan!).filter((title) => title.startsWith("stop") || title.startsWith("destroy"))).toEqual([]);
    const kept = both.plan!.changes.find((change) => change.address === "haplan_worker.w2");
    expect(kept).toMatchObject({ action: "noop", reason: `unreachable: ${reason}` });
  });

  it("lets members restart for new settings only as far as the quorum allows", () => {
    const slower = { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } };
    const restarted = plan(slower, without("m2", true)).plan!.steps.flatMap(({ action }) =>
      action.kind === "updateAgent" ? [action.member] : [],
    );
    expect(restarted.toSorted()).toEqual(["m1", "m3"]);
    expect(plan(slower, without("m2", false)).refusal?.map(({ code }) => code)).toEqual(["plan/quorum-at-risk"]);
  });

  it.each<[string, ClusterSpec, string, Partial<PlannerInput>, RegExp]>([
    ["a new master on it", fixtureSpec(["m1", "m2", "m3", "m4", "m5"]), "m5", {}, /unreachable, and not in the state/],
    ["an end of the cluster", three, "m2", { mode: "destroy" }, /cannot be removed/],
    ["a first start", three, "m2", { state: null }, /unreachable, and not in the state/],
  ])("refuses %s", (_, spec, name, more, text) => {
    const empty = { ...settledObservation(three), machines: [], membership: null, certificates: [], authority: null };
    const observed = more.state === null ? { ...empty, unreachable: [{ name, reason }] } : without(name, false);
    const { refusal } = plan(spec, observed, more);
    expect(refusal?.map(({ code }) => code)).toContain("plan/unreachable");
    expect(refusal?.map(({ summary }) => summary).join("\n")).toMatch(text);
  });

  it("refuses a master that has to be recreated on it, and names the way", () => {
    const elsewhere: ClusterSpec = {
      ...three,
      controlPlane: {
        ...three.controlPlane,
        masters: three.controlPlane.masters.map((master) =>
          master.name === "m2" ? { ...master, address: "127.0.1.22" } : master,
        ),
      },
    };
    const { refusal } = plan(elsewhere, without("m2", true));
    expect(refusal).toMatchObject([
      {
        code: "plan/unreachable",
        summary: expect.stringMatching(
          /is unreachable at 127.0.1.2, but master m2 has to be changed: its address has changed/,
        ),
        detail: expect.stringContaining("-replace=haplan_machine.m2"),
      },
    ]);
  });

  describe("that the spec has on another host by now", () => {
    const newReason = "There is no route to 127.0.3.9";
    const two = fixtureSpec(["m1", "m2", "m3"], { workers: 2 });
    const hosts = (lb2: string): ClusterSpec["loadBalancer"] => ({
      ...two.loadBalancer,
      address: "127.0.1.101",
      hosts: ["127.0.1.101", lb2].map((address, at) => ({ name: `lb${at + 1}`, zone: null, address })),
    });
    const before: ClusterSpec = { ...two, loadBalancer: hosts("127.0.1.102") };
    const [w1, w2] = two.workers;
    const moved: Readonly<Record<string, readonly [ClusterSpec, string]>> = {
      lb2: [{ ...before, loadBalancer: hosts("127.0.3.9") }, "127.0.1.102"],
      w2: [{ ...before, workers: [w1!, { ...w2!, address: "127.0.3.9" }] }, w2!.address],
    };
    const state = settledState(before);
    const observedWithout = (
      name: string,
      ...unreachable: NonNullable<ObservedCluster["unreachable"]>
    ): ObservedCluster => {
      const settled = settledObservation(before);
      return { ...settled, machines: settled.machines.filter((machine) => machine.name !== name), unreachable };
    };

    it.each(Object.entries(moved))(
      "%s: is told with both addresses, and moves with -replace",
      (name, [after, from]) => {
        const observed = observedWithout(name, { name, reason });
        const { plan: made } = planChanges(fixtureInput(after, { state, observed }));
        expect(titles(made!)).toEqual([]);
        const detail = `${reason}. Its content is unknown and stays as it is: this plan changes nothing there. It is not replaced because of this. The spec has it at 127.0.3.9, and the state at ${from}: once the former host answers, a plan moves it. If that host is gone for good, -replace=haplan_machine.${name} moves it now.`;
        expect(made!.warnings).toContainEqual(
          expect.objectContaining({ summary: `haplan_machine.${name} is unreachable`, detail }),
        );
        const replace = [`haplan_machine.${name}`];
        const { plan: replaced } = planChanges(fixtureInput(after, { state, observed, replace }));
        const action = replaced!.steps.find((step) => step.action.kind === "createMachine")!.action;
        expect(action).toMatchObject({ machine: name, address: "127.0.3.9", generation: 2, abandons: 1 });
      },
    );

    it.each(Object.entries(moved))(
      "%s: has a mistyped address, perhaps, where only that one is silent",
      (name, [after, from]) => {
        const observed = {
          ...settledObservation(before),
          unreachable: [{ name, reason: newReason, isNewHost: true as const }],
        };
        const { plan: made } = planChanges(fixtureInput(after, { state, observed }));
        expect(titles(made!)).toEqual([]);
        expect(made!.warnings).toMatchObject([
          {
            summary: `haplan_machine.${name} is unreachable at 127.0.3.9, its address in the spec`,
            detail: `${newReason}. Check that address first. The state has it at ${from}, and it stays there: this plan changes nothing there.`,
          },
        ]);
      },
    );

    it.each<[string, ObservedCluster["unreachable"], string, string]>([
      [
        "the former host is silent",
        [{ name: "m2", reason }],
        " at 127.0.1.2",
        `${reason}. The state has it at 127.0.1.2, and the spec at 127.0.3.9. Make 127.0.1.2 reachable and plan again. If it is lost, plan with -replace=haplan_machine.m2.`,
      ],
      [
        "the new host is silent",
        [{ name: "m2", reason: newReason, isNewHost: true }],
        " at 127.0.3.9",
        `${newReason}. Check that address in the spec first. The state has it at 127.0.1.2, which answers.`,
      ],
      [
        "both are silent",
        [
          { name: "m2", reason: newReason, isNewHost: true },
          { name: "m2", reason },
        ],
        " at 127.0.3.9",
        `${newReason}. Check that address in the spec first. The state has it at 127.0.1.2, which was not reached either: ${reason}. If that host is lost, plan with -replace=haplan_machine.m2 once 127.0.3.9 answers.`,
      ],
    ])("refuses the move of a master with the host that was not reached, where %s", (_, unreachable, at, detail) => {
      const { refusal } = plan(withAddress("m2", "127.0.3.9"), {
        ...settledObservation(three),
        unreachable: unreachable!,
      });
      const summary = `haplan_machine.m2 is unreachable${at}, but master m2 has to be changed: its address has changed`;
      expect(refusal).toMatchObject([{ code: "plan/unreachable", summary, detail }]);
    });
  });

  describe("that -replace names", () => {
    const elsewhere = withAddress("m2", "127.0.1.20");
    const replaced = (): Plan => plan(elsewhere, without("m2", false), { replace: ["haplan_machine.m2"] }).plan!;
    const made = (): StepAction => replaced().steps.find(({ action }) => action.kind === "createMachine")!.action;

    it("F7: says that what is on it stays, and keeps its place in the state", () => {
      expect(made()).toMatchObject({ generation: 2, address: "127.0.1.20", abandons: 1 });
      expect(replaced().warnings).toContainEqual(
        expect.objectContaining({
          code: "plan/left-behind",
          summary: "What haplan_machine.m2 has on its former host stays there",
          detail: expect.stringContaining("The state keeps it as haplan_machine.m2@1"),
        }),
      );
      const change = replaced().changes.find(({ address }) => address === "haplan_machine.m2");
      expect(change).toMatchObject({ reason: "it is unreachable, and replaced as requested", reasonCode: "requested" });
    });

    it.each([
      ["another host", (): Plan => replaced()],
      ["its own host", (): Plan => plan(three, without("m2", false), { replace: ["haplan_machine.m2"] }).plan!],
    ])("F7: is not called gone when it is replaced on %s", (_, planned) => {
      const { drift, changes, steps, warnings } = planned();
      expect(drift).toMatchObject([{ address: "haplan_raft_member.m2", after: { status: "unreachable" } }]);
      expect(JSON.stringify({ changes, steps, warnings })).not.toContain("gone");
    });

    it("F7: keeps nothing of one that is created again on its own host", () => {
      const { plan: again } = plan(three, without("m2", false), { replace: ["haplan_machine.m2"] });
      const action = again!.steps.find((step) => step.action.kind === "createMachine")!.action;
      expect(action).not.toHaveProperty("abandons");
    });

    const state = settledState(elsewhere);
    const former = settledState(three).resources.find(({ address }) => address === "haplan_machine.m2")!;
    const left = { ...former, address: "haplan_machine.m2@1", name: "m2@1", generation: 1 } as const;
    const current = state.resources.map((each) =>
      each.name === "m2" && each.type !== "haplan_certificate" ? { ...each, generation: 2 } : each,
    );
    const withLeft = { ...state, resources: [...current, left] };
    const settled = settledObservation(elsewhere);
    const machines = settled.machines.map((each) => (each.name === "m2" ? { ...each, generation: 2 } : each));
    const next = (more: Partial<ObservedCluster>): PlanResult =>
      planChanges(fixtureInput(elsewhere, { state: withLeft, observed: { ...settled, machines, ...more } }));

    it("F7: is told by every plan as long as its host does not answer", () => {
      const { plan: later } = next({ unreachable: [{ name: "m2@1", reason }] });
      expect(titles(later!)).toEqual([]);
      expect(later!.warnings.map(({ summary }) => summary)).toContain(
        "haplan_machine.m2@1 was replaced, and its host is still unreachable",
      );
    });

    it("F7: is removed once its host answers", () => {
      const old = settledObservation(three).machines.find(({ name }) => name === "m2")!;
      const { plan: later } = next({ machines: [...machines, old] });
      expect(titles(later!)).toEqual(["stop agent m2 (generation 1)", "destroy machine m2 (generation 1)"]);
    });

    it("F7: is forgotten when its host answers and has nothing of it", () => {
      const { plan: later } = next({});
      expect(later!.steps.map(({ action, addresses }) => [action.kind, addresses])).toEqual([
        ["recordState", ["haplan_machine.m2@1"]],
      ]);
    });
  });

  it("F15: lets destroy go on without a host that is lost for good, once the state has nothing on it", () => {
    const observed = without("m2", false);
    const { refusal } = plan(three, observed, { mode: "destroy" });
    const on = ["haplan_machine.m2", "haplan_agent.m2", "haplan_raft_member.m2"];
    const commands = refusal?.flatMap((each) => each.commands ?? []);
    expect(commands?.map((words) => [...words].sort())).toEqual([["state", "rm", ...on].sort()]);
    const state = settledState(three);
    const forgotten = { ...state, resources: state.resources.filter(({ address }) => !on.includes(address)) };
    const { plan: made } = planChanges(fixtureInput(three, { state: forgotten, observed, mode: "destroy" }));
    expect(made!.warnings.map(({ summary }) => summary)).toEqual([
      "haplan_machine.m2 is unreachable, and not in the state",
    ]);
    expect(titles(made!)).toContain("destroy machine m1");
    expect(titles(made!)).not.toContain("destroy machine m2");
  });
});
