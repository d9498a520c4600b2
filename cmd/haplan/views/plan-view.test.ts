import { describe, expect, it } from "vitest";
import type { Plan, ResourceChange } from "../../../src/plan/plan.ts";
import { isNothingCompared } from "../../../src/plan/rules/unreachable.ts";
import { specReader } from "../../../src/providers/spec-reader.ts";
import { createPaint } from "../paint.ts";
import { planToJson } from "./plan-json.ts";
import { planCounts, renderPlan } from "./plan-view.ts";

const parseSpec = specReader.parse;

const spec = parseSpec(
  "f",
  "{ apiVersion: haplan.dev/v1, kind: Cluster, metadata: { name: demo }, spec: { controlPlane: { members: 3 } } }",
).spec!;

function change(partial: Pick<ResourceChange, "type" | "name" | "action"> & Partial<ResourceChange>): ResourceChange {
  return {
    address: `${partial.type}.${partial.name}`,
    reason: null,
    before: null,
    after: null,
    unknownAfter: [],
    sensitive: [],
    forcesReplacement: [],
    ...partial,
  };
}

const digest = (character: string): string => character.repeat(64);

const plan: Plan = {
  formatVersion: 1,
  id: digest("a"),
  mode: "apply",
  spec,
  binding: { specDigest: "d", stateLineage: null, stateSerial: 0, haplanVersion: "0.1.0", membership: null },
  changes: [
    change({
      type: "haplan_certificate",
      name: "m3",
      action: "create",
      after: { commonName: "m3", subjectAltNames: ["127.0.1.3", "m3"], zone: null },
      unknownAfter: ["fingerprint", "privateKey"],
      sensitive: ["privateKey"],
    }),
    change({
      type: "haplan_load_balancer",
      name: "load-balancer",
      action: "update",
      before: { type: "embedded", ports: [2379], backends: ["m1", "m2"], configDigest: digest("b") },
      after: { type: "embedded", ports: [2379], backends: ["m1", "m3"], configDigest: digest("c") },
    }),
    change({
      type: "haplan_machine",
      name: "m2",
      action: "createThenDelete",
      reason: "its data is gone",
      before: { address: "127.0.1.2", generation: 1 },
      after: { address: "127.0.1.9" },
      unknownAfter: ["generation"],
      forcesReplacement: ["address"],
    }),
    change({ type: "haplan_worker", name: "w9", action: "delete", before: { endpoint: "https://127.0.1.100:2379" } }),
    change({ type: "haplan_worker", name: "w1", action: "noop", before: { pid: 1 }, after: { pid: 1 } }),
  ],
  drift: [
    change({
      type: "haplan_agent",
      name: "m2",
      action: "update",
      reason: "its process is gone",
      before: { status: "running" },
      after: { status: "stopped" },
    }),
  ],
  steps: [
    {
      id: "issueCertificate:m3",
      title: "issue certificate m3",
      action: { kind: "recordState" },
      addresses: [],
      after: [],
    },
    {
      id: "changeVoters:m3",
      title: "change voters from m1, m2, m4 to m1, m2, m3 in one joint change",
      action: { kind: "recordState" },
      addresses: [],
      after: [],
    },
  ],
  timeline: [
    {
      afterStep: null,
      title: "now",
      voters: 3,
      votersOutgoing: 0,
      learners: 0,
      healthyVoters: 2,
      quorum: 2,
      canLose: 0,
    },
    {
      afterStep: 1,
      title: "change voters from m1, m2, m4 to m1, m2, m3 in one joint change",
      voters: 3,
      votersOutgoing: 3,
      learners: 1,
      healthyVoters: 3,
      quorum: 2,
      canLose: null,
    },
    {
      afterStep: 1,
      title: "done",
      voters: 3,
      votersOutgoing: 0,
      learners: 0,
      healthyVoters: 3,
      quorum: 2,
      canLose: 1,
      endpoint: { targets: 3, serving: 2 },
    },
  ],
  warnings: [],
};

const unchanged: Plan = { ...plan, changes: plan.changes.slice(4), drift: [], steps: [], timeline: [] };

describe("plan view", () => {
  it("announces no actions where only the state is changed", () => {
    const [, , ...timeline] = plan.timeline;
    const [step] = plan.steps;
    const text = renderPlan(
      { ...plan, drift: [], changes: [], steps: [step!], timeline },
      { paint: createPaint(false) },
    );
    expect(text).toMatch(/^haplan will change no resource, only its state:\n\nSteps that do not affect the quorum:/);
    expect(text).not.toMatch(/following (actions|symbols)/);
    const moved: typeof step = { ...step!, action: { kind: "awaitQuorum", members: [] } as never };
    expect(renderPlan({ ...plan, drift: [], changes: [], steps: [moved] }, { paint: createPaint(false) })).toMatch(
      /^haplan will change no resource, and perform these steps:/,
    );
  });

  it("T low: shows symbols, reasons, values, drift, timeline and summary, and hides digests and process ids", () => {
    expect(renderPlan(plan, { paint: createPaint(false) })).toMatchInlineSnapshot(`
      "Note: Objects have changed outside of haplan

      haplan detected the following changes made outside of haplan since the last
      "haplan apply" which may have affected this plan:

        # haplan_agent.m2 has changed
        # (its process is gone)
        ~ resource "haplan_agent" "m2" {
            ~ status = "running" -> "stopped"
          }

      ─────────────────────────────────────────────────────────────────────────────

      haplan generated the following execution plan. Resource actions are indicated
      with the following symbols:
        + create
        ~ update in-place
        - destroy
      +/- create replacement and then destroy

      haplan will perform the following actions:

        # haplan_certificate.m3 will be created
        + resource "haplan_certificate" "m3" {
            + common_name       = "m3"
            + fingerprint       = (known after apply)
            + private_key       = (sensitive value)
            + subject_alt_names = [
                + "127.0.1.3",
                + "m3",
              ]
          }

        # haplan_load_balancer.load-balancer will be updated in-place
        ~ resource "haplan_load_balancer" "load-balancer" {
            ~ backends = [
                - "m2",
                + "m3",
                  # (1 unchanged element hidden)
              ]
              # (2 unchanged attributes and 1 digest or process id hidden)
          }

        # haplan_machine.m2 must be replaced
        # (its data is gone)
      +/- resource "haplan_machine" "m2" {
            ~ address    = "127.0.1.2" -> "127.0.1.9" # forces replacement
            ~ generation = 1 -> (known after apply)
          }

        # haplan_worker.w9 will be destroyed
        - resource "haplan_worker" "w9" {
            - endpoint = "https://127.0.1.100:2379" -> null
          }

      Steps that do not affect the quorum:
         1 issue certificate m3

      Quorum timeline (each row is after the step):
        step                                                                voters  learners  quorum   can lose  endpoint
        now                                                                      3         0       2          0         -
         2 change voters from m1, m2, m4 to m1, m2, m3 in one joint change     3+3         1     2+2  no quorum         -
         2 done                                                                  3         0       2          1       2/3
        endpoint: serving targets of the load balancer, of all its targets

      Plan: 2 to add, 1 to change, 2 to destroy."
    `);
  });

  it("renders the same plan in color", () => {
    expect(
      renderPlan(plan, { paint: createPaint(true) })
        .split("\n")
        .slice(10, 60),
    ).toMatchInlineSnapshot(`
      [
        "",
        "─────────────────────────────────────────────────────────────────────────────",
        "",
        "haplan generated the following execution plan. Resource actions are indicated",
        "with the following symbols:",
        "  [32m+[39m create",
        "  [33m~[39m update in-place",
        "  [31m-[39m destroy",
        "[32m+[39m/[31m-[39m create replacement and then destroy",
        "",
        "haplan will perform the following actions:",
        "",
        "[1m  # haplan_certificate.m3 will be created[22m",
        "  [32m+[39m resource "haplan_certificate" "m3" {",
        "      [32m+[39m common_name       = "m3"",
        "      [32m+[39m fingerprint       = (known after apply)",
        "      [32m+[39m private_key       = (sensitive value)",
        "      [32m+[39m subject_alt_names = [",
        "          [32m+[39m "127.0.1.3",",
        "          [32m+[39m "m3",",
        "        ]",
        "    }",
        "",
        "[1m  # haplan_load_balancer.load-balancer will be updated in-place[22m",
        "  [33m~[39m resource "haplan_load_balancer" "load-balancer" {",
        "      [33m~[39m backends = [",
        "          [31m-[39m "m2",",
        "          [32m+[39m "m3",",
        "            # (1 unchanged element hidden)",
        "        ]",
        "[2m        # (2 unchanged attributes and 1 digest or process id hidden)[22m",
        "    }",
        "",
        "[1m  # haplan_machine.m2 must be replaced[22m",
        "[2m  # (its data is gone)[22m",
        "[32m+[39m/[31m-[39m resource "haplan_machine" "m2" {",
        "      [33m~[39m address    = "127.0.1.2" -> "127.0.1.9"[31m # forces replacement[39m",
        "      [33m~[39m generation = 1 -> (known after apply)",
        "    }",
        "",
        "[1m  # haplan_worker.w9 [31mwill be destroyed[39m[22m",
        "  [31m-[39m resource "haplan_worker" "w9" {",
        "      [31m-[39m endpoint = "https://127.0.1.100:2379" -> null",
        "    }",
        "",
        "Steps that do not affect the quorum:",
        "   1 issue certificate m3",
        "",
        "[1mQuorum timeline[22m (each row is after the step):",
        "[1m  step                                                                voters  learners  quorum   can lose  endpoint[22m",
      ]
    `);
  });

  it("color changes nothing but color", () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colors are made of control characters
    expect(renderPlan(plan, { paint: createPaint(true) }).replace(/\u001b\[\d+m/g, "")).toBe(
      renderPlan(plan, { paint: createPaint(false) }),
    );
  });

  it("no line is wider than a terminal", () => {
    for (const line of renderPlan(plan, { paint: createPaint(false), columns: 80 }).split("\n"))
      expect(line.length).toBeLessThanOrEqual(80);
  });

  const [now, ...rows] = plan.timeline;
  const long = {
    ...plan,
    timeline: [now!, { ...rows[0]!, title: "update load balancer h4: h1, h2, h3, h5, h6" }],
  };

  it.each<[number | null, readonly string[]]>([
    [
      80,
      [
        "  step                             voters  learners  quorum   can lose  endpoint",
        "  now                                   3         0       2          0         -",
        "   2 update load balancer h4: h1,     3+3         1     2+2  no quorum         -",
        "     h2, h3, h5, h6",
      ],
    ],
    [
      null,
      [
        "  step                                            voters  learners  quorum   can lose  endpoint",
        "  now                                                  3         0       2          0         -",
        "   2 update load balancer h4: h1, h2, h3, h5, h6     3+3         1     2+2  no quorum         -",
      ],
    ],
  ])("cuts no title of the timeline, in %s columns", (columns, expected) => {
    const lines = renderPlan(long, { paint: createPaint(false), columns }).split("\n");
    const at = lines.findIndex((line) => line.startsWith("Quorum timeline"));
    expect(lines.slice(at + 1, at + 1 + expected.length)).toEqual(expected);
  });

  it("prints Terraform's sentence if there is nothing to do", () => {
    expect(renderPlan(unchanged, { paint: createPaint(false) })).toMatch(
      /^No changes\. Your infrastructure matches the configuration\./,
    );
  });

  it("does not say that everything matches if a machine is unreachable", () => {
    const warning = {
      severity: "warning",
      code: "plan/unreachable",
      summary: "haplan_machine.m2 is unreachable",
    } as const;
    const text = renderPlan({ ...unchanged, warnings: [warning] }, { paint: createPaint(false) });
    expect(text).toContain("unreachable machines were not compared");
    expect(text).not.toContain("Your infrastructure matches");
  });

  it.each([
    [["m2"], /haplan compared 2 running masters with the spec/, false],
    [["m2", "m3"], /haplan compared 1 running master with the spec/, false],
    [["m1", "m2", "m3"], /were not compared\.$/, true],
  ])("counts what was compared, without %j", (silent, expected, nothing) => {
    const warnings = silent.map((name) => ({
      severity: "warning" as const,
      code: "plan/unreachable",
      summary: `haplan_machine.${name} is unreachable`,
      address: `haplan_machine.${name}` as const,
    }));
    const plan = { ...unchanged, warnings };
    expect(renderPlan(plan, { paint: createPaint(false) })).toMatch(expected);
    expect(isNothingCompared({ ...plan, spec: { ...plan.spec, workers: [] } })).toBe(nothing);
  });

  it("counts a replacement as added and destroyed", () => {
    expect(planCounts(plan)).toEqual({ import: 0, add: 2, change: 1, destroy: 2 });
  });
});

describe("plan JSON", () => {
  it("has Terraform's actions, and haplan's own data below one key", () => {
    const json = planToJson(plan) as { resource_changes: { change: { actions: string[] } }[] };
    expect(json).toMatchObject({ format_version: "1.2", applyable: true, haplan: { plan_id: plan.id, mode: "apply" } });
    expect(json.resource_changes.map(({ change: { actions } }) => actions)).toEqual([
      ["create"],
      ["update"],
      ["create", "delete"],
      ["delete"],
      ["no-op"],
    ]);
    expect(json.resource_changes[0]).toMatchObject({
      address: "haplan_certificate.m3",
      mode: "managed",
      change: {
        before: null,
        after_unknown: { fingerprint: true, private_key: true },
        after_sensitive: { private_key: true },
      },
    });
    expect(json.resource_changes[2]).toMatchObject({
      action_reason: "replace_because_cannot_update",
      change: { replace_paths: [["address"]] },
    });
  });

  it("never shows a sensitive value", () => {
    const secret = change({
      type: "haplan_ca",
      name: "demo",
      action: "update",
      before: { privateKey: "old-secret" },
      after: { privateKey: "new-secret" },
      sensitive: ["privateKey"],
    });
    const leaky = { ...plan, changes: [secret] };
    for (const text of [JSON.stringify(planToJson(leaky)), renderPlan(leaky, { paint: createPaint(false) })]) {
      expect(text).not.toContain('secret"');
      expect(text).not.toMatch(/old-secret|new-secret/);
    }
  });
});
