/** `haplan import` and imports in plans: whole command lines. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(async () => {
  cli = createCliFixture();
  expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
});
afterEach(() => cli.remove());

const haplan = (line: string): Promise<CliRun> => cli.haplan(line);
const state = (): { lineage: string; serial: number; resources: readonly { address: string }[] } =>
  JSON.parse(readFileSync(join(cli.cwd, ".haplan/demo/state.json"), "utf8"));
const lose = (): void => rmSync(join(cli.cwd, ".haplan/demo/state.json"));

describe("haplan import", () => {
  it("imports a resource that the state has lost, and the next plan has nothing to do", async () => {
    const before = state();
    await haplan("state rm haplan_worker.w1");
    const { code, out } = await haplan("import haplan_worker.w1 w1");
    expect(code).toBe(0);
    expect(out).toContain("haplan_worker.w1: Import prepared! [id=w1]");
    expect(out).toContain('resource "haplan_worker" "w1" {');
    expect(out).toContain("Import successful!");
    expect(state()).toMatchObject({ lineage: before.lineage, serial: before.serial + 2 });
    expect((await haplan("plan -detailed-exitcode")).code).toBe(0);
  });

  it("reports errors, exits with 1 and changes nothing", async () => {
    const before = state();
    expect(await haplan("import haplan_worker.w1 w1")).toMatchObject({
      code: 1,
      err: expect.stringContaining("haplan_worker.w1 is already managed"),
    });
    expect(await haplan("import haplan_worker.w7")).toMatchObject({
      code: 1,
      err: expect.stringContaining('Did you mean "haplan_worker.w1"?'),
    });
    expect((await haplan("import")).code).toBe(1);
    expect(state()).toEqual(before);
  });

  it("starts with a member if the whole state is lost", async () => {
    const { lineage } = state();
    lose();
    expect((await haplan("import haplan_machine.m1")).err).toContain(
      "haplan import -spec=three.yaml haplan_raft_member.m1",
    );
    expect((await haplan("import haplan_raft_member.m1")).code).toBe(0);
    expect(state()).toMatchObject({ lineage, serial: 1, resources: [{ address: "haplan_raft_member.m1" }] });
    expect((await haplan("plan three.yaml")).out).toMatch(/Plan: \d+ to import, 3 to add, /);
  });
});

describe("a state that was lost", () => {
  it("is restored by -refresh-only, which shows its imports as text, as JSON and as a stream", async () => {
    const addresses = state().resources.map(({ address }) => address);
    lose();
    const seen = addresses.filter((address) => !address.startsWith("haplan_lb_backend.")).sort();
    const text = (await haplan("plan three.yaml -refresh-only")).out;
    expect(text).toContain(`Plan: ${seen.length} to import, 0 to add, 0 to change, 0 to destroy.`);
    expect(text).toContain("# haplan_load_balancer.load-balancer will be imported");
    type Change = { address: string; change: { actions: string[]; before: object; importing?: { id: string } } };
    const json = await cli.planDocument<{ resource_changes: Change[] }>("three.yaml -refresh-only");
    const imports = json.resource_changes.filter(({ change }) => change.importing !== undefined);
    expect(imports.map(({ address }) => address).sort()).toEqual(seen);
    expect(imports.map(({ change }) => change.actions.join())).toEqual(seen.map(() => "no-op"));
    expect(imports.find(({ address }) => address === "haplan_machine.m1")?.change).toMatchObject({
      before: { address: "127.0.1.1" },
      importing: { id: "m1" },
    });

    const { out } = await haplan("apply three.yaml -refresh-only -auto-approve -json");
    const lines = out.split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ type }) => type === "planned_change")).toContainEqual(
      expect.objectContaining({
        "@message": "haplan_machine.m1: Plan to import",
        change: expect.objectContaining({ action: "import", importing: { id: "m1" } }),
      }),
    );
    const sums = lines.filter(({ type }) => type === "change_summary").map(({ changes }) => changes);
    expect(sums).toMatchObject([
      { import: seen.length, add: 0, operation: "plan" },
      { import: seen.length, operation: "apply" },
    ]);
    expect(
      state()
        .resources.map(({ address }) => address)
        .sort(),
    ).toEqual(seen);
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
    expect((await haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
  });

  it("is restored by an apply, which counts its imports", async () => {
    lose();
    const { out } = await haplan("apply three.yaml -auto-approve");
    expect(out).toMatch(/Plan: (\d+) to import, [^\n]*[\s\S]*Apply complete! Resources: \1 imported, /);
    expect(out).toMatch(/# haplan_worker.w1 will be imported\n.*id w1\)/);
  });
});
