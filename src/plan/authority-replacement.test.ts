/** The certificate authority replaced by one with another key: what is planned from where an earlier plan has ended. */
import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  fixtureAuthority,
  fixtureInitialCluster,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import { observationFromState } from "./observation-from-state.ts";
import type { ObservedAuthority, ObservedCertificate, ObservedCluster, TrustedAuthority } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { Attributes } from "./resource.ts";
import type { State } from "./state.ts";

const three = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
const settled = settledObservation(three);
const dates = { notBefore: "2026-05-01T00:00:00Z", notAfter: "2036-05-01T00:00:00Z" };
const second: TrustedAuthority = { fingerprint: "fp-second", commonName: "demo haplan CA 2", ...dates };
const first: TrustedAuthority = { ...fixtureAuthority(), fingerprint: "fp-demo" };

/** The next authority is trusted, and does not sign yet. */
const added = fixtureAuthority({ next: second, crossSigned: true });
/** It signs, and the previous one is trusted. */
const activated = fixtureAuthority({ ...second, previous: [first], crossSigned: true });

function observed(authority: ObservedAuthority, leaf: Partial<ObservedCertificate> = {}): ObservedCluster {
  return { ...settled, authority, certificates: settled.certificates.map((each) => ({ ...each, ...leaf })) };
}

const ofPrevious = { trusted: false, signedByPrevious: true } as const;

/** The state of units that were given these authorities. */
function stateWith(trusts: Readonly<Record<string, readonly string[]>>, fingerprint = "fp-demo"): State {
  const state = settledState(three);
  return {
    ...state,
    resources: state.resources.map((resource) => {
      const given = trusts[resource.address] ?? trusts[resource.type];
      const ca = resource.type === "haplan_ca" ? recorded(fingerprint === "fp-demo" ? first : second) : {};
      const attributes = { ...resource.attributes, ...ca, ...(given === undefined ? {} : { trusts: given }) };
      return { ...resource, attributes };
    }),
  };
}

function recorded({ fingerprint, commonName, notAfter }: TrustedAuthority): Attributes {
  return { fingerprint, commonName, notAfter };
}

const both = ["fp-demo", "fp-second"];
const all = (trusts: readonly string[]): Readonly<Record<string, readonly string[]>> => ({
  haplan_agent: trusts,
  haplan_load_balancer: trusts,
  haplan_worker: trusts,
});

function planned(more: Partial<PlannerInput>, spec = three): Plan {
  return planOf(fixtureInput(spec, more));
}

const refusal = (more: Partial<PlannerInput>, spec = three): readonly string[] =>
  (planChanges(fixtureInput(spec, more)).refusal ?? []).map(({ code }) => code);
const ids = (plan: Plan): readonly string[] => plan.steps.map(({ id }) => id.replace(/~\d+$/, ""));
const codes = (plan: Plan): readonly string[] => plan.warnings.map(({ code }) => code);

const handedOut = [
  ...["m2", "m3", "m1"].flatMap((name) => [`reloadAgent:${name}/authorities`, `awaitQuorum:${name}`]),
  "updateLoadBalancer:m1,m2,m3",
  "startWorker:w1",
];
const issuedAgain = [
  ...["m1", "m2", "m3", "load-balancer", "w1", "admin"].map((name) => `issueCertificate:${name}`),
  ...["m2", "m3", "m1"].flatMap((name) => [`reloadAgent:${name}`, `awaitQuorum:${name}`]),
  "updateLoadBalancer:m1,m2,m3",
  "startWorker:w1",
];

describe("a replacement of the authority", () => {
  it("makes every unit trust both, then signs with the next one, and issues every certificate again", () => {
    const plan = planned({ replaceAuthority: true });
    expect(ids(plan)).toEqual(["addAuthority", ...handedOut, "activateAuthority", ...issuedAgain]);
    expect(codes(plan)).toEqual(["plan/authority-replaced-by"]);
    const ca = plan.changes.find(({ address }) => address === "haplan_ca.demo");
    expect(ca).toMatchObject({
      action: "update",
      before: { commonName: "demo haplan CA" },
      after: { commonName: "demo haplan CA 2" },
      unknownAfter: ["fingerprint", "notAfter"],
    });
  });

  it("keeps the quorum after every step", () => {
    const { timeline } = planned({ replaceAuthority: true, dropAuthority: true });
    expect(new Set(timeline.map(({ canLose, endpoint }) => [canLose, endpoint?.serving].join()))).toEqual(
      new Set(["1,3"]),
    );
  });

  it("drops the previous one in the same plan when that is asked for", () => {
    const plan = planned({ replaceAuthority: true, dropAuthority: true });
    const whole = ["addAuthority", ...handedOut, "activateAuthority", ...issuedAgain, "dropAuthority", ...handedOut];
    expect(ids(plan)).toEqual(whole);
    expect(codes(plan)).toEqual(["plan/authority-dropped"]);
    // Nothing else is left to do when it is dropped.
    const dropped = plan.steps.findIndex(({ id }) => id === "dropAuthority");
    expect(plan.steps[dropped]?.after).toEqual(plan.steps.slice(0, dropped).map(({ id }) => id));
  });

  it("restarts etcd, which reads its authorities only at start, and moves the leader away first", () => {
    const etcd = fixtureSpec(["m1", "m2", "m3"], { workers: 0, engine: "etcd" });
    const trust = ids(planned({ replaceAuthority: true }, etcd));
    expect(trust.slice(0, trust.indexOf("activateAuthority"))).toEqual([
      "addAuthority",
      ...["m2", "m3"].flatMap((name) => [`updateAgent:${name}`, `awaitQuorum:${name}`]),
      ...["moveLeader:m1>m2", "updateAgent:m1", "awaitQuorum:m1"],
      "updateLoadBalancer:m1,m2,m3",
    ]);
    // m2 leads by then, so it is the last one.
    const whole = ids(planned({ replaceAuthority: true, dropAuthority: true }, etcd));
    expect(whole.slice(whole.indexOf("dropAuthority")).filter((id) => /Agent|Leader/.test(id))).toEqual([
      "updateAgent:m1",
      "updateAgent:m3",
      "moveLeader:m2>m1",
      "updateAgent:m2",
    ]);
  });

  it("is resumed by any plan, from where it was interrupted", () => {
    const some = { "haplan_agent.m2": both, haplan_load_balancer: both };
    const begun = planned({ observed: observed(added), state: stateWith(some) });
    const rest = handedOut.filter((id) => !id.endsWith("m2/authorities") && !/awaitQuorum:m2|LoadBalancer/.test(id));
    expect(ids(begun)).toEqual([...rest, "activateAuthority", ...issuedAgain]);
    const handed = planned({ observed: observed(added), state: stateWith(all(both)) });
    expect(ids(handed)).toEqual(["activateAuthority", ...issuedAgain]);
    // The step was done, and not recorded.
    const signing = planned({ observed: observed(activated, ofPrevious), state: stateWith(all(both)) });
    expect([...ids(signing)].sort()).toEqual([...issuedAgain, "recordState"].sort());
  });

  it("leaves nothing to do but the drop, of which every plan reminds", () => {
    const done = { observed: observed(activated), state: stateWith(all(both), "fp-second") };
    const plan = planned(done);
    expect(plan.steps).toEqual([]);
    expect(codes(plan)).toEqual(["plan/previous-authority-trusted"]);
    const drop = planned({ ...done, dropAuthority: true });
    expect(ids(drop)).toEqual(["dropAuthority", ...handedOut]);
    expect(drop.changes.find(({ address }) => address === "haplan_agent.m1")).toMatchObject({
      reason: "it is no longer to trust the previous certificate authority",
      before: { trusts: both },
      after: { trusts: ["fp-second"] },
    });
  });

  it("changes nothing in a plan that only trusts the state", () => {
    const state = stateWith(all(both), "fp-second");
    expect(planned({ observed: observationFromState(three, state), state }).steps).toEqual([]);
  });

  it("is completed by any plan after an interrupted drop", () => {
    const alone = fixtureAuthority(second);
    const state = stateWith({ ...all(both), "haplan_agent.m2": ["fp-second"] }, "fp-second");
    const plan = planned({ observed: observed(alone), state });
    expect(ids(plan)).toEqual(handedOut.filter((id) => !/m2(?:\/|$)/.test(id)));
    expect(codes(plan)).toEqual([]);
    // The command that was interrupted resumes it as well.
    expect(ids(planned({ observed: observed(alone), state, dropAuthority: true }))).toEqual(ids(plan));
    const after = planned({ observed: observed(alone), state: stateWith(all(["fp-second"]), "fp-second") });
    expect(after.steps).toEqual([]);
  });
});

describe("an authority whose key is gone", () => {
  const lost = fixtureAuthority({ signingKey: "missing" });

  it("is replaced in two plans: clients need the next one before the members present its certificates", () => {
    const plan = planned({ observed: observed(lost), replaceAuthority: true });
    expect(ids(plan)).toEqual(["addAuthority", ...handedOut]);
    expect(codes(plan)).toEqual(["plan/authority-unsigned"]);
    const trusted = { observed: observed({ ...lost, next: second }), state: stateWith(all(both)) };
    const waiting = planned(trusted);
    expect(waiting.steps).toEqual([]);
    expect(codes(waiting)).toContain("plan/authority-unsigned");
    expect(ids(planned({ ...trusted, replaceAuthority: true }))).toEqual(["activateAuthority", ...issuedAgain]);
  });
});

describe("a replacement that is refused", () => {
  const unhealthy: ObservedCluster = {
    ...settled,
    membership: {
      ...settled.membership!,
      members: settled.membership!.members.map((each) => (each.name === "m3" ? { ...each, healthy: false } : each)),
    },
  };

  it.each<[string, Partial<PlannerInput>, string, typeof three]>([
    ["without TLS", { replaceAuthority: true }, "plan/no-replacement", fixtureSpec(["m1", "m2", "m3"], { tls: false })],
    [
      "while a master is not healthy",
      { replaceAuthority: true, observed: unhealthy },
      "plan/replacement-unhealthy",
      three,
    ],
    ["without a previous one to drop", { dropAuthority: true }, "plan/nothing-to-drop", three],
    [
      "while a previous one is trusted",
      { replaceAuthority: true, observed: observed(activated), state: stateWith(all(both), "fp-second") },
      "plan/replacement-unfinished",
      three,
    ],
  ])("%s", (_, more, code, spec) => {
    expect(refusal(more, spec)).toContain(code);
  });

  it("together with other changes", () => {
    const faster = { ...three, controlPlane: { ...three.controlPlane, heartbeatIntervalMs: 50 } };
    const input = { state: settledState(three), observed: settled, replaceAuthority: true };
    expect(refusal(input, faster)).toEqual(["plan/replacement-with-changes"]);
  });

  it("waits for a master that went down in its middle, and goes on with the present authority", () => {
    const plan = planned({ observed: { ...unhealthy, authority: added }, state: stateWith({}) });
    expect(codes(plan)).toContain("plan/authority-waits");
    expect(ids(plan)).not.toContain("activateAuthority");
  });
});

describe("an authority of the operator", () => {
  const files = { caFile: "ca.crt", keyFile: "ca.key", signer: null };
  const own = { ...three, controlPlane: { ...three.controlPlane, tls: { enabled: true, authority: files } } };
  const state: State = {
    ...settledState(own),
    resources: settledState(own).resources.filter(({ type }) => type !== "haplan_ca"),
  };
  const withBoth = observed(fixtureAuthority({ previous: [second] }));

  it("is no resource, and a second one in its file is handed out before any certificate is issued", () => {
    expect(planned({ state, observed: settled }, own).steps).toEqual([]);
    expect(ids(planned({ state, observed: withBoth }, own))).toEqual(handedOut);
    const rotated = planned({ state, observed: withBoth, replace: ["haplan_certificate.m1"] }, own);
    expect(ids(rotated)).toEqual([...handedOut, "issueCertificate:m1", "reloadAgent:m1", "awaitQuorum:m1"]);
    const issue = rotated.steps.find(({ id }) => id === "issueCertificate:m1");
    expect(issue?.after).toEqual(expect.arrayContaining(["startWorker:w1"]));
  });

  it("changes nothing in a plan that only trusts the state", () => {
    expect(planned({ observed: observationFromState(own, state), state }, own).steps).toEqual([]);
  });

  it("is refused when it has signed none of the certificates", () => {
    const untrusted = observed(fixtureAuthority({ fingerprint: "fp-other" }), { trusted: false });
    expect(refusal({ state, observed: untrusted }, own)).toEqual(["plan/authority-replaced"]);
  });

  it("is not replaced by haplan", () => {
    expect(refusal({ state, observed: settled, replaceAuthority: true }, own)).toContain("plan/no-replacement");
  });
});

describe("a replacement of the authority that goes on after the state was lost", () => {
  const untold = (cluster: ObservedCluster): ObservedCluster => ({
    ...cluster,
    machines: cluster.machines.map((machine) => ({
      ...machine,
      units: machine.units.map(({ initialCluster: _, ...unit }) => unit),
    })),
  });

  const handsOut = (cluster: ObservedCluster): Plan["steps"] => {
    const { steps } = planned({ observed: cluster, state: null });
    const ofAgents = steps.filter(({ id }) => /Agent|Leader|activate/.test(id));
    return ofAgents.slice(
      0,
      ofAgents.findIndex(({ id }) => id === "activateAuthority"),
    );
  };

  it("hands the authorities out without a restart, since each unit tells its initial cluster", () => {
    const steps = handsOut(observed(added));
    const inOrder = ["m2", "m3", "m1"];
    expect(steps.map(({ id }) => id)).toEqual(inOrder.map((name) => `reloadAgent:${name}/authorities`));
    const joins = steps.flatMap(({ action }) => (action.kind === "reloadAgent" ? [action.join] : []));
    expect(joins).toEqual(inOrder.map(fixtureInitialCluster));
  });

  it("says that members restart where their units do not tell it, and moves the leader away first", () => {
    expect(handsOut(untold(observed(added))).map(({ id }) => id)).toEqual([
      ...["updateAgent:m2", "updateAgent:m3", "moveLeader:m1>m2", "updateAgent:m1"],
    ]);
  });
});
