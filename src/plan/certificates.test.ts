// Certificates as resources with a life: what is planned when they near their end, are past it, or are not haplan's.
import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  emptyObservation,
  fixtureAuthority,
  fixtureInput,
  fixtureNowMs,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import { msPerDay } from "./certificate-validity.ts";
import type { ObservedAuthority, ObservedCertificate, ObservedCluster } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";

const three = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
const settled = settledObservation(three);
/** On this day the fixture's certificates have as many days left. */
const daysBeforeEnd = (days: number): number => Date.parse("2027-01-01T00:00:00Z") - days * msPerDay;

function withCertificate(name: string, more: Partial<ObservedCertificate> | null): ObservedCluster {
  const certificates = settled.certificates.flatMap((each) =>
    each.name !== name ? [each] : more === null ? [] : [{ ...each, ...more }],
  );
  return { ...settled, certificates };
}

const withAuthority = (more: Partial<ObservedAuthority>): ObservedCluster => ({
  ...settled,
  authority: fixtureAuthority(more),
});

function planned(more: Partial<PlannerInput>): Plan {
  return planOf(fixtureInput(three, more));
}

const refusals = (more: Partial<PlannerInput>, spec = three): readonly string[] =>
  (planChanges(fixtureInput(spec, more)).refusal ?? []).map(({ summary, detail }) => `${summary}. ${detail}`);
const titles = (plan: Plan): readonly string[] => plan.steps.map(({ title }) => title);
const reasons = (plan: Plan, type = "haplan_certificate"): Readonly<Record<string, string | null>> =>
  Object.fromEntries(
    plan.changes
      .filter((change) => change.type === type && change.action !== "noop")
      .map(({ name, reason }) => [name, reason]),
  );
const codes = (plan: Plan): readonly string[] => plan.warnings.map(({ code }) => code);

describe("a certificate that nears its end", () => {
  it("T1: is left alone while it has renewBeforeDays left, and renewed from then on", () => {
    expect(planned({ nowMs: daysBeforeEnd(90) }).steps).toEqual([]);
    const plan = planned({ nowMs: daysBeforeEnd(65) });
    const text = "it expires in 65 days, on 2027-01-01";
    expect(reasons(plan)).toEqual(
      Object.fromEntries(["m1", "m2", "m3", "load-balancer", "w1", "admin"].map((name) => [name, text])),
    );
    expect(codes(plan)).toEqual([]);
    const few = { ...three, policy: { ...three.policy, renewBeforeDays: 30 } };
    expect(planChanges(fixtureInput(few, { nowMs: daysBeforeEnd(65) })).plan?.steps).toEqual([]);
    expect(planChanges(fixtureInput(few, { nowMs: daysBeforeEnd(29) })).plan?.steps).not.toEqual([]);
  });

  it("T1: is left alone where a new one would end on the same day, with its authority", () => {
    const certificates = settled.certificates.map((each) => ({ ...each, endsWithAuthority: true }));
    expect(planned({ observed: { ...settled, certificates }, nowMs: daysBeforeEnd(20) }).steps).toEqual([]);
  });

  it("T1: names the certificate that it replaces, so that the step can be done twice", () => {
    const [step] = planned({ observed: withCertificate("w1", { notAfter: "2026-06-11T00:00:00Z" }) }).steps;
    expect(step?.action).toMatchObject({ kind: "issueCertificate", name: "w1", replaces: "fp-w1" });
  });

  it("T1: is replaced when that is asked for", () => {
    const plan = planned({ replace: ["haplan_certificate.m1"] });
    expect(reasons(plan)).toEqual({ m1: "as requested" });
    expect(titles(plan)[0]).toBe("issue certificate m1");
  });

  it("R4: that has expired is an update that says so, and a warning that names it", () => {
    const plan = planned({ observed: withCertificate("m2", { notAfter: "2026-05-31T12:00:00Z" }) });
    expect(reasons(plan)).toEqual({ m2: "it expired less than a day ago, on 2026-05-31" });
    expect(plan.warnings.map(({ summary }) => summary)).toEqual(["A certificate has expired: m2"]);
    const all = planned({ nowMs: daysBeforeEnd(-35) });
    expect(Object.keys(reasons(all))).toHaveLength(6);
    expect(reasons(all)["m1"]).toBe("it expired 34 days ago, on 2027-01-01");
    expect(all.warnings[0]?.summary).toBe("6 certificates have expired: m1, m2, m3, load-balancer, w1, admin");
  });

  it("T1: that is not valid yet, cannot serve, or is of another authority is issued again", () => {
    const reasonOf = (more: Partial<ObservedCertificate>): unknown =>
      reasons(planned({ observed: withCertificate("m1", more) }))["m1"];
    expect(reasonOf({ notBefore: "2026-07-01T00:00:00Z" })).toBe("it is not valid before 2026-07-01");
    expect(reasonOf({ profile: "client" })).toBe("its key usage has changed");
    expect(reasonOf({ trusted: false })).toBe("it was signed by another authority");
  });
});

describe("the certificate of a master", () => {
  const hosts = ["lb1", "lb2"].map((name, index) => ({ name, zone: null, address: `10.0.0.2${index}` }));
  const virtual = { interface: null, routerId: 7 };
  it.each([
    ["its own address", three, "127.0.1.100"],
    [
      "a virtual address",
      { ...three, loadBalancer: { ...three.loadBalancer, address: "10.0.0.9", hosts, virtual } },
      "10.0.0.9",
    ],
    ["a name", { ...three, loadBalancer: { ...three.loadBalancer, address: "api.example.com" } }, "api.example.com"],
  ])("names the load balancer, on every master, when that has %s", (_, spec, address) => {
    const { plan } = planChanges(fixtureInput(spec, { state: null, observed: emptyObservation }));
    const names = plan?.changes.flatMap(({ type, after }) =>
      type === "haplan_certificate" && after?.["profile"] === "member" ? [after["subjectAltNames"]] : [],
    );
    expect(names).toHaveLength(3);
    for (const each of names ?? []) expect(each).toContain(address);
  });
});

describe("a certificate that was changed outside of haplan", () => {
  it("T1: is drift, and issued again if it is of another authority", () => {
    const plan = planned({ observed: withCertificate("m1", { fingerprint: "fp-other", trusted: false }) });
    expect(plan.drift).toMatchObject([
      {
        address: "haplan_certificate.m1",
        reason: "it was replaced by one of another authority",
        before: { fingerprint: "fp-m1" },
        after: { fingerprint: "fp-other" },
      },
    ]);
    expect(titles(plan)[0]).toBe("issue certificate m1");
  });

  it("T1: is drift, and recorded when it is as good as the one before", () => {
    const plan = planned({ observed: withCertificate("admin", { fingerprint: "fp-other" }) });
    expect(plan.drift.map(({ reason }) => reason)).toEqual(["it was replaced outside of haplan"]);
    expect(titles(plan)).toEqual(["record in the state what was found"]);
    expect(plan.changes.find(({ address }) => address === "haplan_certificate.admin")?.after).toMatchObject({
      fingerprint: "fp-other",
    });
  });
});

describe("the authority", () => {
  it("T1: is renewed with its key while it would end before what it signs now, and everything it signed after it", () => {
    const early = planned({ observed: withAuthority({ notAfter: "2027-06-01T00:00:00Z" }) });
    expect(titles(early)).toEqual(["record in the state what was found"]);
    const plan = planned({ observed: withAuthority({ notAfter: "2027-05-31T00:00:00Z" }) });
    expect(reasons(plan, "haplan_ca")).toEqual({ demo: "it expires in 364 days, on 2027-05-31" });
    expect(titles(plan).slice(0, 2)).toEqual([
      "renew the certificate of the certificate authority",
      "issue certificate m1",
    ]);
    expect(plan.steps[1]?.after).toEqual(["renewAuthority"]);
    expect(new Set(Object.values(reasons(plan)))).toEqual(new Set(["the authority's certificate is renewed"]));
    expect(codes(plan)).toEqual(["plan/authority-renewed"]);
  });

  it("T1: that has expired is renewed although no member can be asked", () => {
    const problems = [
      { subject: "the membership", message: "cannot authenticate: ca.crt expired", notAuthenticated: true },
    ] as const;
    const plan = planned({
      nowMs: Date.parse("2036-01-02T12:00:00Z"),
      observed: { ...settled, membership: null, problems },
    });
    expect(reasons(plan, "haplan_ca")).toEqual({ demo: "it expired 1 day ago, on 2036-01-01" });
    expect(titles(plan)).toEqual(expect.arrayContaining(["restart agent m1", "wait until m1, m2, m3 are healthy"]));
  });

  it("T4: is gone: the file is named, and nothing is planned", () => {
    const problems = [
      { subject: "the membership", message: 'cannot authenticate: ca.crt is missing in "pki"', notAuthenticated: true },
    ] as const;
    expect(refusals({ observed: { ...settled, authority: null, membership: null, problems } })).toEqual([
      expect.stringMatching(
        /^The certificate authority of this cluster is missing\. haplan cannot authenticate: ca\.crt is missing in "pki"\. /,
      ),
    ]);
  });

  it("T4: cannot sign: what signs nothing goes on, what must be signed is refused by name, what can wait waits", () => {
    const observed = withAuthority({ signingKey: "missing" });
    const grown = fixtureSpec(["m1", "m2", "m3"], { workers: 2 });
    expect(planned({ observed }).steps).toEqual([]);
    expect(titles(planned({ observed, nowMs: daysBeforeEnd(20) }))).toEqual([]);
    expect(planned({ observed, nowMs: daysBeforeEnd(20) }).warnings).toMatchObject([
      {
        code: "plan/renewal-without-key",
        summary: /^6 certificates are due .* ca\.key is missing in "\.haplan\/demo\/pki"$/,
      },
    ]);
    const input = { state: settledState(three), observed };
    expect(refusals(input, grown)).toEqual([
      expect.stringMatching(
        /^A certificate has to be signed, but ca\.key is missing in "\.haplan\/demo\/pki"\. To be signed: w2\./,
      ),
    ]);
    expect(refusals({ observed, nowMs: daysBeforeEnd(-1) })[0]).toMatch(/m1 \(it expired less than a day ago/);
    const other = withAuthority({ signingKey: "mismatched" });
    expect(refusals({ ...input, observed: other }, grown)[0]).toMatch(
      /ca\.key in "\.haplan\/demo\/pki" is not the key of ca\.crt/,
    );
  });

  it("R14: that was put in the place of this cluster's is refused", () => {
    const certificates = settled.certificates.map((each) => ({ ...each, trusted: false }));
    const observed = { ...withAuthority({ fingerprint: "fp-foreign" }), certificates };
    expect(refusals({ observed })).toEqual([
      expect.stringMatching(
        /^The members do not trust this certificate authority\. .* Restore the earlier ca\.crt and ca\.key\. To replace the authority, start with `haplan certs rotate -ca`\.$/,
      ),
    ]);
    expect(refusals({ observed: { ...observed, certificates: [] } })).toHaveLength(1);
  });

  it("that was replaced with other files, such as a newer copy of the directory, is not taken back", () => {
    const shown = { master: "m2", port: "client", fingerprint: "fp-new", notAfter: "2030-01-01T00:00:00Z" } as const;
    const presented = [{ ...shown, foreignIssuer: true as const }];
    expect(refusals({ observed: { ...settled, presented } })).toEqual([
      expect.stringMatching(
        /^m2 has a certificate of an authority that is not in "?\.haplan\/demo\/pki.*restore its certificates/,
      ),
    ]);
    // While it is replaced here, members may have certificates of either.
    const trusted = {
      fingerprint: "fp-x",
      commonName: "x",
      notBefore: "2026-01-01T00:00:00Z",
      notAfter: "2030-01-01T00:00:00Z",
    };
    const next = { ...withAuthority({ next: trusted }), presented };
    expect(refusals({ observed: next }).filter((text) => text.includes("is not in"))).toEqual([]);
    expect(refusals({ observed: { ...settled, presented: [shown] } })).toEqual([]);
  });

  it("R14: whose renewal did not reach the state is the same one", () => {
    const plan = planned({ observed: withAuthority({ fingerprint: "fp-renewed" }) });
    expect(titles(plan)).toEqual(["record in the state what was found"]);
    expect(plan.changes.find(({ type }) => type === "haplan_ca")?.after).toMatchObject({ fingerprint: "fp-renewed" });
  });
});

describe("T low: a certificate that is to be replaced while the key of its authority is missing", () => {
  it("is refused for this one reason", () => {
    const said = refusals({ observed: withAuthority({ signingKey: "missing" }), replace: ["haplan_certificate.m1"] });
    expect(said).toEqual([expect.stringContaining("ca.key")]);
  });
});

describe("members that haplan cannot ask", () => {
  it("T4: are not taken for dead", () => {
    const message =
      'cannot authenticate: admin.crt or its key is missing, and ca.key is missing in "pki", so that no other can be made';
    const problems = [{ subject: "the membership", message, notAuthenticated: true }] as const;
    expect(refusals({ observed: { ...withAuthority({ signingKey: "missing" }), membership: null, problems } })).toEqual(
      [expect.stringMatching(/^The state of the members is unknown\. haplan cannot authenticate: admin\.crt/)],
    );
  });
});

describe("TLS", () => {
  const plain = fixtureSpec(["m1", "m2", "m3"], { tls: false, workers: 1 });

  it("T7: that is turned on while the cluster runs is refused with the way, and no authority is missed", () => {
    const said = refusals({ state: settledState(plain), observed: { ...settledObservation(plain), membership: null } });
    expect(said).toEqual([expect.stringMatching(/^TLS cannot be turned on while the cluster runs\. /)]);
    expect(said[0]).not.toMatch(/put it back|gone/i);
    expect(said[0]).toContain("make-mirror");
  });

  it("T7: that is off is warned of", () => {
    const { plan } = planChanges(fixtureInput(plain, { nowMs: fixtureNowMs }));
    expect(plan?.warnings).toMatchObject([{ code: "plan/no-tls", summary: "The control plane has no TLS" }]);
    expect(plan?.steps).toEqual([]);
  });
});

describe("members that run", () => {
  const carrying = (fingerprints: Readonly<Record<string, string>>): PlannerInput["state"] => {
    const state = settledState(three);
    const resources = state.resources.map((resource) => {
      const certificate = fingerprints[resource.name];
      const carries = ["haplan_agent", "haplan_worker", "haplan_load_balancer"].includes(resource.type);
      return carries && certificate !== undefined
        ? { ...resource, attributes: { ...resource.attributes, certificate } }
        : resource;
    });
    return { ...state, resources };
  };
  const presenting = (master: string, port: "client" | "peer", fingerprint: string): ObservedCluster => ({
    ...settled,
    presented: [{ master, port, fingerprint, notAfter: "2026-06-03T00:00:00Z" }],
  });

  it("T1: get their new certificates one after the other, without a restart and without moving the leader", () => {
    const plan = planned({ nowMs: daysBeforeEnd(65) });
    const inTurn = titles(plan).filter((title) => /agent|wait/.test(title));
    expect(inTurn).toEqual(
      ["m2", "m3", "m1"].flatMap((name) => [`hand agent ${name} its new certificate`, `wait until ${name} is healthy`]),
    );
    expect(plan.timeline.map(({ canLose }) => canLose)).toEqual([1, 1, 1, 1, 1]);
    expect(titles(plan)).toEqual(expect.arrayContaining(["update load balancer: m1, m2, m3", "start worker w1"]));
  });

  it("T1: that an apply did not get to before it ended are handed what is there", () => {
    const plan = planned({
      state: carrying({ m1: "fp-before", m2: "fp-m2", w1: "fp-before", "load-balancer": "fp-before" }),
    });
    expect(titles(plan)).toEqual([
      "hand agent m1 its new certificate",
      "wait until m1 is healthy",
      "update load balancer: m1, m2, m3",
      "start worker w1",
    ]);
  });

  it("T1: that show another certificate than they were given are drift, and restarted in their turn", () => {
    for (const port of ["client", "peer"] as const) {
      const plan = planned({ observed: presenting("m1", port, "fp-other") });
      expect(plan.drift.map(({ address, reason }) => `${address}: ${reason}`)).toEqual([
        `haplan_agent.m1: its ${port} port presents another certificate, which expires on 2026-06-03`,
      ]);
      expect(titles(plan)).toEqual([
        "move leader from m1 to m2",
        "stop agent m1",
        "restart agent m1",
        "wait until m1 is healthy",
      ]);
    }
    expect(planned({ observed: presenting("m1", "peer", "fp-m1") }).steps).toEqual([]);
  });

  it("R4: that wait for others with an expired certificate get a new one before they are waited for", () => {
    const members = settled.membership!.members.map((member) => ({ ...member, healthy: false, leader: false }));
    const membership = { ...settled.membership!, members, hasLeader: false };
    const plan = planned({ observed: { ...settled, membership }, nowMs: daysBeforeEnd(-35) });
    const order = titles(plan).filter((title) => /agent|wait/.test(title));
    expect(order).toEqual([
      ...["m1", "m2", "m3"].map((name) => `hand agent ${name} its new certificate`),
      "wait until m1, m2, m3 are healthy",
    ]);
  });

  it("acceptance 4: that have expired are renewed where members run, before one that is down is waited for", () => {
    const [agent] = settled.machines.find(({ name }) => name === "m2")!.units;
    const down = { ...agent!, running: false, pid: null };
    const machines = settled.machines.map((each) => (each.name === "m2" ? { ...each, units: [down] } : each));
    const members = settled.membership!.members.map((each) => ({ ...each, healthy: each.name !== "m2" }));
    const observed = { ...settled, machines, membership: { ...settled.membership!, members } };
    const order = (days: number): readonly string[] =>
      titles(planned({ observed, nowMs: daysBeforeEnd(days) })).filter((title) => /agent|healthy/.test(title));
    const leader = members.find((each) => each.leader)!.name;
    const other = leader === "m1" ? "m3" : "m1";
    const handed = [other, leader].flatMap((name) => [
      `hand agent ${name} its new certificate`,
      `wait until ${name} is healthy`,
    ]);
    const restarted = order(-35).filter((title) => title !== "restart agent m2");
    expect(restarted).toEqual([...handed, "wait until m2 is healthy"]);
    // They are good for some time yet: the member that is down comes first.
    expect(order(65)).toEqual(["restart agent m2", "wait until m2 is healthy", ...handed]);
  });

  it("acceptance 4: that have expired are renewed before a member joins", () => {
    const grown = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);
    const input = fixtureInput(grown, { state: settledState(three), observed: settled, nowMs: daysBeforeEnd(-35) });
    const steps = (planChanges(input).plan?.steps ?? []).map(({ title }) => title);
    const lastHanded = Math.max(
      ...["m1", "m2", "m3"].map((name) => steps.indexOf(`hand agent ${name} its new certificate`)),
    );
    const firstJoin = steps.findIndex((title) => /add .*learner|start agent m4/.test(title));
    expect(lastHanded).toBeGreaterThan(0);
    expect(firstJoin).toBeGreaterThan(lastHanded);
  });

  it("acceptance 4: that have expired are not renewed by restarts, one of which would wait for the others", () => {
    const faster = { ...three, controlPlane: { ...three.controlPlane, heartbeatIntervalMs: 50 } };
    const more = { state: settledState(three), observed: settled };
    expect(refusals({ ...more, nowMs: daysBeforeEnd(-35) }, faster)).toEqual([
      expect.stringMatching(
        /^The certificates of m1, m2, m3 have to be renewed before .* Renew first: apply the last applied spec/,
      ),
    ]);
    expect(refusals({ ...more, nowMs: daysBeforeEnd(65) }, faster)).toEqual([]);
    const down = settled.machines.map((each) => {
      const units = each.units.map((unit) => (unit.name === "agent" ? { ...unit, running: false, pid: null } : unit));
      return { ...each, units };
    });
    const ended = { ...settled, machines: down, membership: null };
    const steps = planChanges(fixtureInput(faster, { ...more, observed: ended, nowMs: daysBeforeEnd(-35) })).plan
      ?.steps;
    const order = (steps ?? []).map(({ title }) => title).filter((title) => /agent|healthy/.test(title));
    expect(order).toEqual([
      ...["m1", "m2", "m3"].map((name) => `restart agent ${name}`),
      "wait until m1, m2, m3 are healthy",
    ]);
  });
});

describe("T low: the certificate of a program that is restarted", () => {
  const changed = (plan: Plan, address: string) => plan.changes.find((change) => change.address === address);

  it("is known where the plan issues none: nothing of it changes", () => {
    const change = changed(planned({ replace: ["haplan_agent.m2"] }), "haplan_agent.m2");
    expect(change).toMatchObject({
      action: "update",
      after: { certificate: "fp-m2" },
      unknownAfter: ["pid", "definitionDigest"],
    });
    const replaced = changed(planned({ replace: ["haplan_worker.w1"] }), "haplan_worker.w1");
    expect(replaced?.after).toMatchObject({ certificate: "fp-w1" });
  });

  it("is known after apply where the plan issues it", () => {
    const change = changed(planned({ replace: ["haplan_certificate.m2"] }), "haplan_agent.m2");
    expect(change?.unknownAfter).toContain("certificate");
  });

  it("that is recreated because it is gone shows nothing of the one that the state remembers", () => {
    const change = changed(planned({ observed: withCertificate("m2", null) }), "haplan_certificate.m2");
    expect(change).toMatchObject({ action: "create", before: null });
  });
});
