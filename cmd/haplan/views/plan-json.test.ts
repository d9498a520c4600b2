/** The JSON of plans against a schema of Terraform's format, and policies that evaluate it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import type { Plan } from "../../../src/plan/plan.ts";
import { planChanges } from "../../../src/plan/planner.ts";
import type { PlannerInput } from "../../../src/plan/planner-input.ts";
import {
  emptyObservation,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../../test/support/planned-cluster.ts";
import { evaluateRego } from "../../../test/support/rego-subset.ts";
import { planToJson } from "./plan-json.ts";

const here = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");
const validate = new Ajv({ allErrors: true, allowUnionTypes: true, strict: false }).compile(
  JSON.parse(here("testdata/terraform-plan.schema.json")) as object,
);

const three = fixtureSpec(["m1", "m2", "m3"]);
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);
const settled = settledObservation(three);

function planned(input: PlannerInput): Plan {
  const { plan, refusal } = planChanges(input);
  if (plan === undefined) throw new Error(refusal.map(({ summary }) => summary).join());
  return plan;
}

const withoutMachine = (name: string): PlannerInput =>
  fixtureInput(three, {
    observed: {
      ...settled,
      machines: settled.machines.filter((machine) => machine.name !== name),
      membership: {
        ...settled.membership!,
        members: settled.membership!.members.map((member) =>
          member.name === name ? { ...member, healthy: false, raftIndex: null } : member,
        ),
      },
    },
  });

const plans: Readonly<Record<string, Plan>> = {
  create: planned(fixtureInput(three, { state: null, observed: emptyObservation })),
  "nothing to do": planned(fixtureInput(three)),
  grow: planned(fixtureInput(five, { state: settledState(three), observed: settled })),
  "shrink and remove workers": planned(
    fixtureInput(fixtureSpec(["m1", "m2", "m3"], { workers: 0 }), {
      state: settledState(five),
      observed: settledObservation(five),
    }),
  ),
  "replace as requested": planned(fixtureInput(three, { replace: ["haplan_machine.m2"] })),
  "replace what is gone": planned(withoutMachine("m3")),
  destroy: planned(fixtureInput(three, { mode: "destroy" })),
};

/** The JSON that a reader parses, without undefined values. */
const jsonOf = (plan: Plan): Record<string, unknown> =>
  JSON.parse(JSON.stringify(planToJson(plan))) as Record<string, unknown>;

describe("plan JSON", () => {
  it("the schema accepts output of Terraform itself", () => {
    expect(validate(JSON.parse(here("testdata/terraform-plan.sample.json")))).toBe(true);
  });

  it.each(Object.keys(plans))("%s is in Terraform's format", (name) => {
    validate(jsonOf(plans[name]!));
    expect(validate.errors ?? []).toEqual([]);
  });

  it.each<[string, (json: Record<string, unknown>) => void]>([
    ["another format", (json) => void (json["format_version"] = "2.0")],
    ["an unknown key", (json) => void (json["steps"] = [])],
    ["no changes", (json) => void delete json["resource_changes"]],
    ["an unknown action", (json) => (changeOf(json)["actions"] = ["replace"])],
    ["something before a creation", (json) => (changeOf(json)["before"] = {})],
  ])("the schema rejects %s", (_, spoil) => {
    const json = jsonOf(plans["create"]!);
    spoil(json);
    expect(validate(json)).toBe(false);
  });

  it("every resource of the spec is planned, configured, and in the prior state if it existed", () => {
    const json = jsonOf(plans["grow"]!) as {
      planned_values: Values;
      prior_state: { values: Values };
      configuration: Values;
      resource_changes: readonly { address: string; change: { actions: string[] } }[];
    };
    const addresses = (values: Values): readonly string[] =>
      values.root_module.resources.map(({ address }) => address).sort();
    const all = json.resource_changes.map(({ address }) => address).sort();
    expect(addresses(json.planned_values)).toEqual(all);
    expect(addresses(json.configuration)).toEqual(all);
    const created = json.resource_changes.filter(({ change }) => change.actions.join() === "create");
    expect(addresses(json.prior_state.values)).toEqual(
      all.filter((address) => !created.some((change) => change.address === address)),
    );
  });

  it("contains no secret, only marks of them", () => {
    const state = settledState(three);
    const resources = state.resources.map((resource) =>
      resource.sensitive.length === 0
        ? resource
        : { ...resource, attributes: { ...resource.attributes, privateKey: "the secret" } },
    );
    for (const mode of ["apply", "destroy"] as const) {
      const text = JSON.stringify(planToJson(planned(fixtureInput(three, { state: { ...state, resources }, mode }))));
      expect(text).not.toContain("the secret");
      expect(text).toContain('"private_key":true');
    }
  });
});

type Values = { readonly root_module: { readonly resources: readonly { readonly address: string }[] } };

function changeOf(json: Record<string, unknown>): Record<string, unknown> {
  const [first] = json["resource_changes"] as readonly { change: Record<string, unknown> }[];
  return first!.change;
}

describe("the example policy", () => {
  const policyFile = new URL("../../../examples/gitops/policy/haplan.rego", import.meta.url).pathname;
  const policy = readFileSync(policyFile, "utf8");
  const none = { deny: [], warn: [] };
  const noQuorum = {
    ...plans["grow"]!,
    timeline: plans["grow"]!.timeline.map((row, index) => ({ ...row, canLose: index === 0 ? 1 : null })),
  };
  const insecure = planned(
    fixtureInput(fixtureSpec(["m1", "m2", "m3"], { tls: false }), { state: null, observed: emptyObservation }),
  );
  const cases: readonly [string, Plan, { deny: readonly (string | RegExp)[]; warn: readonly (string | RegExp)[] }][] = [
    ["a first start", plans["create"]!, none],
    ["growing", plans["grow"]!, none],
    ["destroying", plans["destroy"]!, { deny: ["this plan destroys the whole cluster demo"], warn: [] }],
    [
      "a lost machine",
      plans["replace what is gone"]!,
      {
        deny: [],
        warn: [/^haplan_\w+\.m3 was changed outside of haplan$/],
      },
    ],
    ["switching TLS off", insecure, { deny: ["spec.controlPlane.tls.enabled is false"], warn: [] }],
    [
      "a plan without a quorum",
      noQuorum,
      { deny: noQuorum.timeline.slice(1).map(() => /^no quorum after /), warn: [] },
    ],
  ];

  function expectDecision(
    found: Readonly<Record<string, readonly string[]>>,
    wanted: { deny: readonly (string | RegExp)[]; warn: readonly (string | RegExp)[] },
  ): void {
    for (const set of ["deny", "warn"] as const) {
      for (const message of wanted[set]) {
        expect(found[set]).toContainEqual(typeof message === "string" ? message : expect.stringMatching(message));
      }
      if (wanted[set].length === 0) expect(found[set]).toEqual([]);
    }
  }

  it.each(cases)("evaluates %s", (_, plan, wanted) => {
    expectDecision(evaluateRego(policy, jsonOf(plan)), wanted);
  });

  it("a policy that cannot be parsed does not pass", () => {
    expect(() => evaluateRego("deny contains msg if {\n\tregex.match(`a`, input)\n}", {})).toThrow("not understood");
  });

  const opaInstalled = spawnSync("opa", ["version"]).status === 0;
  if (opaInstalled) {
    it.each(cases)("OPA evaluates %s to the same result", (_, plan) => {
      const directory = mkdtempSync(join(tmpdir(), "haplan-opa-"));
      try {
        writeFileSync(join(directory, "plan.json"), JSON.stringify(jsonOf(plan)));
        const args = [
          "eval",
          "--data",
          policyFile,
          "--input",
          join(directory, "plan.json"),
          "--format",
          "raw",
          "data.main",
        ];
        const { stdout, stderr } = spawnSync("opa", args, { encoding: "utf8" });
        expect(stderr).toBe("");
        expect(JSON.parse(stdout)).toEqual(evaluateRego(policy, jsonOf(plan)));
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });
  }
});
