import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import { fixtureInput, fixtureMember, fixtureSpec, settledState } from "../../test/support/planned-cluster.ts";
import type { ObservedMember, ObservedMembership } from "../plan/observed-cluster.ts";
import type { Plan } from "../plan/plan.ts";
import type { Step, StepAction } from "../plan/step.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { clientUrl, clusterEndpoint } from "../units/addresses.ts";
import { type OpenedProbe, openWriteProbe } from "./open-write-probe.ts";
import type { ApplyPorts, ProbeClientRequest, ProbeWrites } from "./ports.ts";
import type { StateKeeper } from "./state-keeper.ts";
import type { Connection } from "./step-context.ts";

const three = fixtureSpec(["m1", "m2", "m3"], { tls: false });
const url = (name: string): string => clientUrl(three, three.controlPlane.masters.find((each) => each.name === name)!);
const startsBalancer: StepAction = { kind: "startLoadBalancer", backends: [] };
const up = (name: string, more: Partial<ObservedMember> = {}): ObservedMember =>
  fixtureMember(three, name, { answeredAt: url(name), ...more });

async function opened(
  spec: ClusterSpec,
  members: readonly ObservedMember[] | null,
  actions: readonly StepAction[],
  before: ClusterSpec | null = null,
  changes: Plan["changes"] = [],
): Promise<readonly ProbeClientRequest[]> {
  let asked: readonly ProbeClientRequest[] = [];
  await openProbe(
    spec,
    members,
    actions,
    async (request) => {
      asked = request.clients;
      return {
        markStep: () => undefined,
        setPace: () => undefined,
        moveEndpoint: () => undefined,
        reconnect: () => undefined,
        stop: async () => null,
      };
    },
    before,
    changes,
  );
  return asked;
}

async function openProbe(
  spec: ClusterSpec,
  members: readonly ObservedMember[] | null,
  actions: readonly StepAction[],
  probeWrites: ProbeWrites,
  before: ClusterSpec | null = null,
  changes: Plan["changes"] = [],
): Promise<OpenedProbe | null> {
  const membership = members === null ? null : ({ members } as ObservedMembership);
  const state = before === null ? null : settledState(before);
  return await openWriteProbe({
    plan: { spec, steps: actions.map((action) => ({ action })), changes } as unknown as Plan,
    ports: { probeWrites } as ApplyPorts,
    done: new Set(),
    budget: null,
    keeper: { spec, find: (address) => state?.resources.find((each) => each.address === address) } as StateKeeper,
    connection: {
      tls: async () => null,
      controlPlane: async () => ({ observe: async () => membership }),
    } as Connection,
  });
}

it("looks closely while any step is done that delays writes", async () => {
  const paces: string[] = [];
  const probe = {
    markStep: () => undefined,
    setPace: (pace: string) => paces.push(pace),
    moveEndpoint: () => undefined,
    reconnect: () => undefined,
    stop: async () => null,
  };
  const opened = (await openProbe(three, null, [], async () => probe))!;
  const started = (kind: string): (() => void) => opened.stepStarted({ id: kind, action: { kind } } as Step);
  const ended = ["takeSnapshot", "updateAgent", "awaitCatchUp", "updateLoadBalancer"].map(started);
  expect(paces).toEqual(["dense", "dense"]);
  for (const end of ended.slice(0, 3)) end();
  expect(paces).toHaveLength(2);
  ended[3]!();
  expect(paces).toEqual(["dense", "dense", "steady"]);
});

const listed = (requests: readonly ProbeClientRequest[]): readonly string[] =>
  requests.map(({ connects, endpoints }) => `${connects ? "anew " : "kept "}${endpoints.join(" ")}`);

describe("the clients of the write probe", () => {
  it("go to the load balancer's endpoint where it stays", async () => {
    const requests = await opened(three, [up("m1"), up("m2"), up("m3")], [], three);
    const endpoint = clusterEndpoint(three);
    expect(listed(requests)).toEqual([...three.controlPlane.masters.map(() => `kept ${endpoint}`), `anew ${endpoint}`]);
  });

  it("go to the endpoint that the plan found where the state was lost, and to members where it moves", async () => {
    const { changes } = planOf(fixtureInput(three, { state: null }));
    const members = [up("m1"), up("m2"), up("m3")];
    const confirms: StepAction = { kind: "updateLoadBalancer", backends: ["m1", "m2", "m3"] };
    const requests = await opened(three, members, [confirms], null, changes);
    expect(new Set(requests.flatMap(({ endpoints }) => endpoints))).toEqual(new Set([clusterEndpoint(three)]));
    const moves = changes.map((change) => ({ ...change, action: "update" as const }));
    const others = await opened(three, members, [confirms], null, moves);
    expect(others.map(({ endpoints }) => endpoints[0])).not.toContain(clusterEndpoint(three));
  });

  it("F9: begin with voters that serve where the load balancer is started, and with no learner and no master to come", async () => {
    const adopted = await opened(three, [up("m1"), up("m2")], [startsBalancer]);
    expect(listed(adopted)).toEqual([
      `kept ${url("m1")} ${url("m2")} ${url("m3")}`,
      `kept ${url("m2")} ${url("m1")} ${url("m3")}`,
      `anew ${url("m1")} ${url("m2")} ${url("m3")}`,
      `anew ${url("m2")} ${url("m1")} ${url("m3")}`,
    ]);
    const halfWay = await opened(
      three,
      [up("m1", { healthy: false }), up("m2"), up("m3", { learner: true })],
      [startsBalancer],
    );
    expect(listed(halfWay)).toEqual([
      `kept ${url("m2")} ${url("m1")} ${url("m3")}`,
      `anew ${url("m2")} ${url("m1")} ${url("m3")}`,
    ]);
  });

  it("F9: begin with masters of the spec where no member answers", async () => {
    const requests = await opened(three, null, [startsBalancer]);
    expect(requests.map(({ endpoints }) => endpoints[0])).toEqual(
      [...three.controlPlane.masters, ...three.controlPlane.masters].map(({ name }) => url(name)),
    );
  });
});
