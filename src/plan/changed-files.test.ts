/** Plans name the files of a unit that were changed, and those of others that override it. */
import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ObservedUnit } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";

const spec = fixtureSpec(["m1", "m2", "m3"]);

/** The plan of a settled cluster, one of whose machines has other units. */
function planWith(machine: string, change: Partial<ObservedUnit>): Plan {
  const observed = settledObservation(spec);
  const machines = observed.machines.map((each) =>
    each.name === machine ? { ...each, units: each.units.map((unit) => ({ ...unit, ...change })) } : each,
  );
  const silent = { healthy: false, leader: false, raftIndex: null };
  const members = observed.membership!.members.map((member) =>
    member.name === machine && change.running === false ? { ...member, ...silent } : member,
  );
  const membership = { ...observed.membership!, members };
  return planOf(fixtureInput(spec, { state: settledState(spec), observed: { ...observed, machines, membership } }));
}

const unitFile = "/etc/systemd/system/haplan-demo-m2-agent.service";
const certificate = "/var/lib/haplan/demo/machines/m2/units/agent/files/tls.crt";

describe("a plan of units that were changed outside of haplan", () => {
  it.each([
    ["haplan_agent.m2", "m2", [certificate], `: ${certificate}`],
    ["haplan_agent.m2", "m2", [certificate, unitFile], `: ${certificate}, ${unitFile}`],
    ["haplan_worker.w1", "w1", ["/a", "/b", "/c", "/d", "/e"], ": /a, /b, /c and 2 more"],
    ["haplan_load_balancer.load-balancer", "load-balancer", ["/a"], ": /a"],
    // A haplan-host of an earlier version does not tell.
    ["haplan_agent.m2", "m2", undefined, ""],
  ])("names the files of %s", (address, machine, changedFiles, named) => {
    const change = { definitionDigest: "other", ...(changedFiles === undefined ? {} : { changedFiles }) };
    const changes = planWith(machine, change).changes.filter(({ action }) => action !== "noop");
    expect(changes).toMatchObject([
      { address, action: "update", reason: `its files were changed outside of haplan${named}` },
    ]);
  });

  it.each([
    ["haplan_agent.m2", "m2"],
    ["haplan_worker.w1", "w1"],
    ["haplan_load_balancer.load-balancer", "load-balancer"],
  ])("names the link of %s that was disabled and stopped beside its process", (address, machine) => {
    const link = "/etc/systemd/system/multi-user.target.wants/unit.service";
    const change = { running: false, pid: null, definitionDigest: "other", changedFiles: [link] };
    const changes = planWith(machine, change).changes.filter(({ action }) => action !== "noop");
    expect(changes).toMatchObject([
      {
        address,
        reason: `dead: its process is gone, and its files were changed outside of haplan: ${link}`,
        reasonCode: "dead",
      },
    ]);
  });

  it("names the files of a master whose process runs and does not answer", () => {
    const files = [certificate, certificate.replace("crt", "key")];
    const observed = settledObservation(spec);
    const machines = observed.machines.map((each) =>
      each.name === "m2"
        ? { ...each, units: each.units.map((unit) => ({ ...unit, definitionDigest: "other", changedFiles: files })) }
        : each,
    );
    const members = observed.membership!.members.map((member) =>
      member.name === "m2" ? { ...member, healthy: false, leader: false, raftIndex: null } : member,
    );
    const silent = { ...observed, machines, membership: { ...observed.membership!, members } };
    const plan = planOf(fixtureInput(spec, { state: settledState(spec), observed: silent }));
    expect(plan.changes.filter(({ action }) => action !== "noop")).toMatchObject([
      {
        address: "haplan_agent.m2",
        reason: `its process does not answer, and its files were changed outside of haplan: ${files.join(", ")}`,
      },
    ]);
  });

  it.each<[string, readonly string[] | undefined, string | null, string]>([
    ["another id", undefined, "2345:2345", '"haplan" is 2345:2345 by now'],
    ["another id, and data that was given to it", ["/data"], "2345:999", '"haplan" is 2345:999 by now'],
    ["been removed", undefined, null, 'there is no user "haplan" any more'],
  ])("restarts members whose user has %s one at a time, the leader last", (_, changedFiles, present, text) => {
    const files = changedFiles === undefined ? {} : { changedFiles };
    const former = { definitionDigest: "other", formerUser: { runsAs: "999:999", present }, ...files };
    const observed = settledObservation(spec);
    const machines = observed.machines.map((machine) => {
      const units = machine.units.map((unit) => (unit.name === "agent" ? { ...unit, ...former } : unit));
      return { ...machine, units };
    });
    const plan = planOf(fixtureInput(spec, { state: settledState(spec), observed: { ...observed, machines } }));
    const leader = observed.membership!.members.find((member) => member.leader)!.name;
    const started = plan.steps.flatMap(({ action }) => (action.kind === "updateAgent" ? [action.member] : []));
    expect(started.toSorted()).toEqual(["m1", "m2", "m3"]);
    expect(started.at(-1)).toBe(leader);
    for (const { healthyVoters } of plan.timeline) expect(healthyVoters).toBeGreaterThanOrEqual(2);
    for (const change of plan.changes.filter(({ action }) => action !== "noop"))
      expect(change).toMatchObject({ action: "update", reason: `its process runs as user 999:999, and ${text}` });
  });

  it.each([
    ["haplan_worker.w1", "w1"],
    ["haplan_load_balancer.load-balancer", "load-balancer"],
  ])("restarts %s as well, whose user has another id", (address, machine) => {
    const former = { definitionDigest: "other", formerUser: { runsAs: "999:999", present: "2345:2345" } };
    const { changes } = planWith(machine, former);
    const reason = 'its process runs as user 999:999, and "haplan" is 2345:2345 by now';
    expect(changes.filter(({ action }) => action !== "noop")).toMatchObject([{ address, action: "update", reason }]);
  });

  it("warns of drop-ins of others, and leaves them", () => {
    const dropIn = "/etc/systemd/system/haplan-demo-m2-agent.service.d/limits.conf";
    const { steps, warnings } = planWith("m2", { overrides: [dropIn] });
    expect(steps).toEqual([]);
    expect(warnings).toMatchObject([
      {
        code: "plan/unit-overrides",
        summary: "haplan_agent.m2 has settings of systemd that are not from haplan",
        detail: expect.stringContaining(`${dropIn}. It overrides`),
      },
    ]);
  });
});
