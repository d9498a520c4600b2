import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  fixtureInput,
  fixtureMachine,
  fixtureMember,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { agentUnitName } from "../units/unit-definition.ts";
import type { ObservedCluster, ObservedMachine } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import { planChanges } from "./planner.ts";

const now = fixtureSpec(["m1", "m2", "m3"]);

function withMasters(masters: readonly (readonly [name: string, address: string])[], balancer?: string): ClusterSpec {
  const listed = masters.map(([name, address]) => ({ name, zone: null, address }));
  const loadBalancer = balancer === undefined ? now.loadBalancer : { ...now.loadBalancer, address: balancer };
  return { ...now, loadBalancer, controlPlane: { ...now.controlPlane, masters: listed } };
}

function refusals(spec: ClusterSpec, observed: ObservedCluster = settledObservation(now)): readonly string[] {
  const { refusal = [] } = planChanges(fixtureInput(spec, { state: settledState(now), observed }));
  return refusal.map(({ code, summary, detail }) => `${code}: ${summary}. ${detail ?? ""}`);
}

function planned(spec: ClusterSpec): Plan {
  return planOf(fixtureInput(spec, { state: settledState(now), observed: settledObservation(now) }));
}

/** Agents that stop and machines that are made, in their order. */
function turns(spec: ClusterSpec): readonly string[] {
  return planned(spec)
    .steps.map(({ title }) => title)
    .filter((title) => /^(stop agent|create machine)/.test(title));
}

const [a, b, c] = ["127.0.1.1", "127.0.1.2", "127.0.1.3"];

describe("planChanges, of masters that move to where another one runs", () => {
  it("T2: refuses two that change places, and says how it is done", () => {
    const found = refusals(
      withMasters([
        ["m1", b],
        ["m2", a],
        ["m3", c],
      ]),
    );
    expect(found).toHaveLength(2);
    expect(found[0]).toMatch(/^plan\/address-occupied: m1 cannot start at 127.0.1.2, where m2 still runs/);
    expect(found[0]).toMatch(
      /Move m2 to a free address and apply, then m1 to 127.0.1.2 and apply, then m2 to 127.0.1.1/,
    );
  });

  it("T2: plans another name at the same address as a replacement in place, the leader moved first", () => {
    const renamed = withMasters([
      ["m8", a],
      ["m2", b],
      ["m3", c],
    ]);
    const plan = planned(renamed);
    expect(plan.steps.map(({ title }) => title)).toEqual([
      "issue certificate m8",
      "update load balancer: m2, m3",
      "move leader from m1 to m2",
      "stop agent m1",
      "destroy machine m1",
      "create machine m8",
      "add m8 as learner",
      "start agent m8",
      "wait for m8 to catch up (lag <= 1000)",
      "change voters: -m1 +m8",
      "remove member m1",
      "update load balancer: m2, m3, m8",
      "remove certificate m1",
    ]);
    const changes = plan.changes.filter(({ type }) => type === "haplan_raft_member");
    expect(changes.map(({ name, action, reason }) => [name, action, reason])).toEqual([
      ["m8", "create", "it replaces m1"],
      ["m2", "noop", null],
      ["m3", "noop", null],
      ["m1", "delete", "m8 replaces it"],
    ]);
  });

  it("T2: plans new names for all at their addresses, one after the other", () => {
    const renamed = withMasters([
      ["m7", a],
      ["m8", b],
      ["m9", c],
    ]);
    expect(turns(renamed)).toEqual([
      "stop agent m2",
      "create machine m8",
      "stop agent m3",
      "create machine m9",
      "stop agent m1",
      "create machine m7",
    ]);
    expect(planned(renamed).timeline.every(({ canLose, endpoint }) => canLose !== null && endpoint!.serving > 1)).toBe(
      true,
    );
  });

  it("T2: lets a master follow another one to its place, the leader too", () => {
    const chain = withMasters([
      ["m1", "127.0.1.22"],
      ["m2", c],
      ["m3", a],
    ]);
    expect(turns(chain)).toEqual([
      "create machine m1 (generation 2)",
      "stop agent m1 (generation 1)",
      "create machine m3 (generation 2)",
      "stop agent m3 (generation 1)",
      "create machine m2 (generation 2)",
      "stop agent m2 (generation 1)",
    ]);
  });

  it("T2: lets a master move to the place of one that leaves", () => {
    const moving = withMasters([
      ["m1", c],
      ["m2", b],
      ["m4", "127.0.1.4"],
    ]);
    expect(turns(moving)).toEqual([
      "create machine m4",
      "stop agent m3",
      "create machine m1 (generation 2)",
      "stop agent m1 (generation 1)",
    ]);
  });

  it("BR2: ends the learner that an apply of another spec left at the address of a master that is down, before that starts", () => {
    const settled = settledObservation(now);
    const left = withMasters([["m8", a]]);
    const stopped = (machine: ObservedMachine): ObservedMachine =>
      machine.name === "m1"
        ? { ...machine, units: machine.units.map((unit) => ({ ...unit, running: false })) }
        : machine;
    const members = settled.membership!.members.map((member) =>
      member.name === "m1" ? { ...member, healthy: false, leader: false, raftIndex: null } : member,
    );
    const { plan } = planChanges(
      fixtureInput(now, {
        state: settledState(now),
        observed: {
          ...settled,
          machines: [...settled.machines.map(stopped), fixtureMachine("m8", a, agentUnitName)],
          membership: {
            ...settled.membership!,
            members: [
              ...members.map((member) => (member.name === "m2" ? { ...member, leader: true } : member)),
              fixtureMember(left, "m8", { learner: true }),
            ],
          },
        },
      }),
    );
    expect(plan?.steps.map(({ title }) => title)).toEqual([
      "stop agent m8",
      "destroy machine m8",
      "restart agent m1",
      "wait until m1 is healthy",
      "remove member m8",
    ]);
    const restart = plan?.steps.find(({ id }) => id.startsWith("restartAgent"));
    expect(restart?.after).toEqual(["destroyMachine:m8"]);
  });

  it("BR8: forgets the learner that an apply of another spec added for the place of a voter that is down with its data", () => {
    const { membership, machines, ...rest } = settledObservation(now);
    const stopped = (machine: ObservedMachine): ObservedMachine =>
      machine.name === "m1"
        ? { ...machine, units: machine.units.map((unit) => ({ ...unit, running: false })) }
        : machine;
    const members = membership!.members.map((member) =>
      member.name === "m1"
        ? { ...member, healthy: false, leader: false, raftIndex: null }
        : { ...member, leader: member.name === "m2" },
    );
    const learner = {
      ...fixtureMember(now, "m1", { learner: true, healthy: false, raftIndex: null }),
      id: "new",
      name: "",
    };
    const observed = {
      ...rest,
      machines: machines.map(stopped),
      membership: { ...membership!, members: [...members, learner] },
    };
    const { plan } = planChanges(fixtureInput(now, { state: settledState(now), observed }));
    expect(plan?.steps.map(({ title }) => title)).toEqual([
      "restart agent m1",
      "wait until m1 is healthy",
      "remove member m1",
    ]);
    expect(plan?.steps.find(({ action }) => action.kind === "removeMember")?.action).toMatchObject({ memberId: "new" });
  });

  it("T2: refuses a newcomer at the place that another one leaves for elsewhere", () => {
    expect(
      refusals(
        withMasters([
          ["m1", "127.0.1.22"],
          ["m2", b],
          ["m4", a],
        ]),
      ),
    ).toEqual([
      expect.stringMatching(/m4 cannot start at 127.0.1.1.*Move m1 first and apply, then move m4 to its address/),
    ]);
  });

  it("F5: moves a master to the load balancer's host when it listens on other ports there", () => {
    const beside = { ...now, loadBalancer: { ...now.loadBalancer, ports: [2479] } };
    const moved = withMasters([
      ["m1", now.loadBalancer.address],
      ["m2", b],
      ["m3", c],
    ]);
    const spec = { ...moved, loadBalancer: beside.loadBalancer };
    const input = fixtureInput(spec, { state: settledState(beside), observed: settledObservation(beside) });
    const { plan, refusal = [] } = planChanges(input);
    expect(refusal).toEqual([]);
    expect(plan?.steps.map(({ title }) => title)).toContain("create machine m1 (generation 2)");
  });

  it("T2: refuses a master at the address that the load balancer leaves", () => {
    expect(
      refusals(
        withMasters(
          [
            ["m1", "127.0.1.100"],
            ["m2", b],
            ["m3", c],
          ],
          "127.0.1.200",
        ),
      ),
    ).toEqual([expect.stringMatching(/m1 cannot start at 127.0.1.100, where load-balancer still runs/)]);
  });

  it("T2: takes the place of a member that is down and leaves", () => {
    const settled = settledObservation(now);
    const machines = settled.machines.filter((machine) => machine.name !== "m3");
    const members = settled.membership!.members.map((member) =>
      member.id === "id-m3" ? { ...member, healthy: false, raftIndex: null } : member,
    );
    const observed = { ...settled, machines, membership: { ...settled.membership!, members } };
    expect(
      refusals(
        withMasters([
          ["m1", a],
          ["m2", b],
          ["m8", c],
        ]),
        observed,
      ),
    ).toEqual([]);
  });

  it("T2: moves all masters to free addresses, none of them onto another", () => {
    expect(
      refusals(
        withMasters([
          ["m1", "127.0.1.21"],
          ["m2", "127.0.1.22"],
          ["m3", "127.0.1.23"],
        ]),
      ),
    ).toEqual([]);
  });
});

describe("planChanges, of a worker's host that becomes a master's", () => {
  const with1 = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
  const [worker] = with1.workers;

  it.each([
    ["a learner of five", ["m1", "m2", "m3", "m4", "m5"]],
    ["a replacement", ["m1", "m2", "m4"]],
  ])("makes the machine of %s once the worker's is removed", (_, names) => {
    const grown = fixtureSpec(names, { workers: 0 });
    const masters = grown.controlPlane.masters.map((master) =>
      master.name === "m4" ? { ...master, address: worker!.address } : master,
    );
    const spec = { ...grown, controlPlane: { ...grown.controlPlane, masters } };
    const { steps } = planOf(fixtureInput(spec, { state: settledState(with1), observed: settledObservation(with1) }));
    const create = steps.find(({ title }) => title === "create machine m4")!;
    const destroy = steps.find(({ title }) => title === `destroy machine ${worker!.name}`)!;
    expect(create.after).toContain(destroy.id);
  });
});
