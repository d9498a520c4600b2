/** Members without a log: one that has started before is replaced, one that has not is started. */
import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  fixtureInput,
  fixtureMember,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ObservedCluster } from "./observed-cluster.ts";

const spec = fixtureSpec(["m1", "m2", "m3"]);

type Log = {
  readonly isStarted: boolean;
  readonly isRunning: boolean;
  readonly hasRemains?: true;
};

/** The log of m3 is gone, or was never there. */
function without({ isStarted, isRunning, ...remains }: Log): ObservedCluster {
  const found = settledObservation(spec);
  const unnamed = isStarted ? {} : { name: "", clientUrls: [] };
  const silent = fixtureMember(spec, "m3", { healthy: false, raftIndex: null, raftTerm: null, ...unnamed });
  const members = found.membership!.members.map((member) => (member.name === "m3" ? silent : member));
  const machines = found.machines.map((machine) => {
    const units = machine.units.map((unit) => ({ ...unit, running: isRunning }));
    return machine.name === "m3" ? { ...machine, hasData: false, ...remains, units } : machine;
  });
  return { ...found, machines, membership: { ...found.membership!, members } };
}

const settled = settledState(spec);
const states = {
  "of the cluster": settled,
  "of a first apply that was killed": {
    ...settled,
    resources: settled.resources.filter(({ type }) => type !== "haplan_raft_member"),
  },
  lost: null,
};

describe.each(Object.entries(states))("a member without a log, with the state %s", (_, state) => {
  const kindsFor = (log: Log): readonly string[] =>
    planOf(fixtureInput(spec, { state, observed: without(log) })).steps.map(({ action }) => action.kind);

  it.each<Log>([
    { isStarted: true, isRunning: false },
    { isStarted: true, isRunning: true },
    { isStarted: true, isRunning: false, hasRemains: true },
    { isStarted: true, isRunning: true, hasRemains: true },
    { isStarted: false, isRunning: false, hasRemains: true },
  ])("is replaced once it has started before, and starts on no remains: %o", (log) => {
    const kinds = kindsFor(log);
    expect(kinds).toEqual(expect.arrayContaining(["addLearner", "startAgent", "changeVoters", "removeMember"]));
    expect(kinds).not.toContain("restartAgent");
    if (log.hasRemains === true) expect(kinds).toContain("destroyMachine");
  });

  it.each<Log>([
    { isStarted: false, isRunning: false },
    { isStarted: false, isRunning: true },
  ])("is started where it never was: %o", (log) => {
    const kinds = kindsFor(log);
    expect(kinds).toContain("restartAgent");
    expect(kinds).not.toContain("addLearner");
  });
});
