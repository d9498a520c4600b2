/** Commands that need only the applied cluster, without the spec: it is missing, broken, or edited. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";
import { emptyFacts } from "../../test/support/fake-world.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

const specFile = (): string => join(cli.cwd, "three.yaml");
const keptFile = (): string => join(cli.cwd, ".haplan/demo/applied-spec.json");
const edit = (change: (text: string) => string): void =>
  writeFileSync(specFile(), change(readFileSync(specFile(), "utf8")));

async function done(line: string): Promise<string> {
  const { code, out, err } = await cli.haplan(line);
  expect({ line, code, err: code === 0 ? "" : err }).toEqual({ line, code: 0, err: "" });
  return out;
}

function makeDir(): void {
  rmSync(specFile());
  mkdirSync(specFile());
}

/** Faults of the spec when the cluster is to be destroyed. */
const faults: readonly (readonly [string, () => void])[] = [
  ["deleted", () => rmSync(specFile())],
  ["given four members", () => edit((text) => text.replace("members: 3", "members: 4"))],
  ["given a variable that is not set", () => edit((text) => text.replace("members: 3", `members: \${COUNT}`))],
  ["given a tab", () => edit((text) => text.replace("  members: 3", "\tmembers: 3"))],
  ["emptied", () => edit(() => "")],
  ["made a directory", makeDir],
];

describe("T17 R6: destroy", () => {
  it.each(faults)("of a cluster whose spec was %s shows the command without it, which works", async (_, spoil) => {
    await done("apply three.yaml -auto-approve");
    spoil();
    for (const line of ["destroy three.yaml -auto-approve", "plan -destroy three.yaml", "destroy -auto-approve"]) {
      const { code, err } = await cli.haplan(line);
      expect({ line, code }).toEqual({ line, code: 1 });
      expect(err).toMatch(/can be destroyed without the spec:\n│ {5}haplan destroy -state-only=demo\n/);
    }
    expect(cli.world.voters()).toHaveLength(3);
    expect((await cli.haplan("destroy -state-only=demo", ["yes"])).code).toBe(0);
    expect(cli.world.facts.machines.size).toBe(0);
    expect(cli.world.facts.authority).toBeNull();
    expect(existsSync(join(cli.cwd, ".haplan"))).toBe(false);
  });

  it("is planned, saved and applied without the spec as well", async () => {
    await done("apply three.yaml -auto-approve");
    rmSync(specFile());
    const planned = await done("plan -destroy -state-only=demo -out=end.plan");
    expect(planned).toMatch(/Plan: 0 to add, 0 to change, \d\d to destroy\./);
    await done("apply end.plan");
    expect(readdirSync(cli.cwd)).toEqual(["end.plan"]);
  });

  it("resumes after a failure, with the command that it prints", async () => {
    await done("apply three.yaml -auto-approve");
    rmSync(specFile());
    cli.world.failing = (act) => (act.startsWith("destroyMachine m2") ? "it broke" : null);
    const failed = await cli.haplan("destroy -state-only=demo -auto-approve");
    expect(failed.err).toContain("    haplan destroy -state-only=demo -auto-approve");
    cli.world.failing = () => null;
    await done("destroy -state-only=demo -auto-approve");
    expect(readdirSync(cli.cwd)).toEqual([]);
  });

  const sealed = "spec:\n  state: { encryption: { passphraseEnv: DEMO_PASS } }\n";
  it.each<readonly [string, (text: string) => string, string | null]>([
    ["whole", (text) => text, null],
    ["half made", (text) => text, "startUnit m3"],
    ["sealed", (text) => text.replace("spec:\n", sealed), null],
    ["sealed and half made", (text) => text.replace("spec:\n", sealed), "startUnit m3"],
    ["without TLS", (text) => text.replace(/enabled: true.*/, "enabled: false"), null],
    ["without TLS and half made", (text) => text.replace(/enabled: true.*/, "enabled: false"), "startUnit m3"],
  ])("works from the state alone, as an earlier haplan has left it: %s", async (_, change, broken) => {
    cli.environment["DEMO_PASS"] = "a passphrase of some length";
    edit(change);
    cli.world.failing = (act) => (act === broken ? "it broke" : null);
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(broken === null ? 0 : 1);
    cli.world.failing = () => null;
    rmSync(specFile());
    rmSync(keptFile());
    await done("destroy -state-only=demo -auto-approve");
    expect(cli.world.facts.machines.size).toBe(0);
    expect(readdirSync(cli.cwd)).toEqual([]);
  });

  it("of a spec with another cluster name lists the existing clusters", async () => {
    await done("apply three.yaml -auto-approve");
    edit((spec) => spec.replace("name: demo", "name: other"));
    // Machines and certificates of another cluster are in another directory.
    Object.assign(cli.world.facts, emptyFacts());
    const { code, err } = await cli.haplan("destroy three.yaml -auto-approve");
    expect(code).toBe(0);
    expect(err).toMatch(/nothing to destroy for "other"[\s\S]* haplan destroy -state-only=demo\n/);
  });
});

describe("T17 R6: -state-only", () => {
  it.each([
    ["status", "3 of 3 voters healthy"],
    ["output", "https://127.0.1.100:2379"],
    ["show", "haplan_machine"],
    ["state list", "haplan_worker.w1"],
    ["state show haplan_worker.w1", "haplan_worker"],
    ["state pull", '"clusterName": "demo"'],
    ["state rm haplan_worker.w1", "Removed haplan_worker.w1"],
  ])("of %s needs no spec", async (line, shown) => {
    await done("apply three.yaml -auto-approve");
    rmSync(specFile());
    expect(await done(`${line} -state-only=demo`)).toContain(shown);
  });

  it.each([
    ["destroy -state-only=dmeo -auto-approve", 'Did you mean "demo"?'],
    ["destroy -state-only=.. -auto-approve", "Applied clusters: demo."],
    ["destroy -state-only=demo three.yaml -auto-approve", "the spec three.yaml was given"],
    ["destroy -state-only=demo -var A=1 -auto-approve", "a variable was given"],
    ["state list -state-only=demo -spec=three.yaml", "the spec three.yaml was given"],
    ["plan -state-only=demo", "haplan plan -destroy -state-only=demo"],
  ])("%s is refused", async (line, help) => {
    await done("apply three.yaml -auto-approve");
    expect(await cli.haplan(line)).toMatchObject({ code: 1, err: expect.stringContaining(help) });
    expect(cli.world.voters()).toHaveLength(3);
  });

  it("finds no cluster where none was applied", async () => {
    await done("plan three.yaml");
    expect((await cli.haplan("destroy -state-only=demo -auto-approve")).err).toContain("No cluster was applied");
    expect((await cli.haplan("destroy none.yaml -auto-approve")).err).not.toContain("-state-only");
  });

  it("the spec is saved once it is applied, readable by its owner only, and not by a refused apply", async () => {
    cli.world.failing = (act) => (act === "preflight" ? "a port is taken" : null);
    await cli.haplan("apply three.yaml -auto-approve");
    expect(existsSync(keptFile())).toBe(false);
    cli.world.failing = (act) => (act === "createAuthority" ? "it broke" : null);
    await cli.haplan("apply three.yaml -auto-approve");
    expect(statSync(keptFile()).mode & 0o777).toBe(0o600);
    cli.world.failing = () => null;
    await done("apply three.yaml -auto-approve");
    const kept = readFileSync(keptFile(), "utf8");
    edit((spec) => spec.replace("127.0.1.100", "127.0.1.101"));
    await done("apply three.yaml -auto-approve -refresh-only");
    expect(readFileSync(keptFile(), "utf8")).toBe(kept);
    await done("apply three.yaml -auto-approve");
    expect(readFileSync(keptFile(), "utf8")).toContain("127.0.1.101");
  });
});
