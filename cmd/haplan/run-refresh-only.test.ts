/** Drift: shown, reflected in the exit code, and recorded where the state can hold it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(async () => {
  cli = createCliFixture();
  expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
});
afterEach(() => cli.remove());

const edit = (from: string | RegExp, to: string): void => {
  const path = join(cli.cwd, "three.yaml");
  writeFileSync(path, readFileSync(path, "utf8").replace(from, to));
};
type StateFile = { resources: { address: string; attributes: Record<string, unknown> }[] };
const attributesOf = (address: string): Record<string, unknown> | undefined =>
  (JSON.parse(readFileSync(join(cli.cwd, ".haplan/demo/state.json"), "utf8")) as StateFile).resources.find(
    (resource) => resource.address === address,
  )?.attributes;

function stopAgent(): void {
  for (const unit of cli.world.facts.machines.get("m2")!.units.values()) unit.running = false;
}

const plan = (flags: string): ReturnType<CliFixture["haplan"]> =>
  cli.haplan(`plan -detailed-exitcode ${flags} three.yaml`);

describe("T13 R3: plan -refresh-only -detailed-exitcode", () => {
  it("is 0 without drift, and says so", async () => {
    const { code, out } = await plan("-refresh-only");
    expect({ code, out }).toEqual({ code: 0, out: "No changes. The state matches the observed cluster." });
  });

  it("is 2 if drift is listed, and does not claim that there is none", async () => {
    stopAgent();
    for (const flags of ["-refresh-only", "-refresh-only -json", "-refresh-only -out=saved.plan", ""]) {
      const { code, out } = await plan(flags);
      expect({ flags, code }).toEqual({ flags, code: 2 });
      expect(out).toContain("its process is gone");
      expect(out).not.toContain("No changes");
    }
    const shown = await cli.haplan("show -markdown saved.plan");
    expect(shown.out).toContain("**Changes outside of haplan, and nothing to record.**");
    const applied = await cli.haplan("apply -refresh-only -auto-approve three.yaml");
    expect(applied).toMatchObject({ code: 0, out: expect.stringContaining("0 added, 0 changed, 0 destroyed") });
    // Unchanged: what a state does not hold is observed again each time.
    expect((await plan("-refresh-only")).code).toBe(2);
    expect((await cli.haplan("apply -auto-approve three.yaml")).code).toBe(0);
    expect((await plan("-refresh-only")).code).toBe(0);
  });

  it("is 2 while the state would change, and 0 once it has", async () => {
    await cli.haplan("state rm haplan_worker.w1 -spec three.yaml");
    expect((await plan("-refresh-only")).code).toBe(2);
    expect((await cli.haplan("apply -refresh-only -auto-approve three.yaml")).code).toBe(0);
    expect((await plan("-refresh-only")).code).toBe(0);
  });

  it("observes the cluster and ignores the spec", async () => {
    edit(/127\.0\.1\.100/, "127.0.1.101");
    expect((await plan("-refresh-only")).code).toBe(0);
    expect((await plan("")).code).toBe(2);
  });
});

it("T low: a plan with -refresh=false says that it has not observed the cluster", async () => {
  const { code, out } = await plan("-refresh=false");
  expect({ code, out }).toEqual({
    code: 0,
    out: expect.stringContaining("without refreshing it (-refresh=false)"),
  });
  expect(out).not.toContain("running masters");
});

describe("what the spec changes about a resource", () => {
  beforeEach(() => {
    edit("metadata:", "# edited\nmetadata:");
  });

  it("T low: is attributed to the spec, for a zone", async () => {
    edit("- name: m1", "- name: m1\n        zone: b");
    edit(/zone: b\n\s+zone: \S+/, "zone: b");
    const { out } = await cli.haplan("plan three.yaml");
    expect(out).toContain("its zone in the spec has changed");
    expect(out).not.toContain("only the state is outdated");
    expect((await cli.haplan("apply -auto-approve three.yaml")).code).toBe(0);
    expect(attributesOf("haplan_machine.m1")).toMatchObject({ zone: "b" });
    expect((await plan("")).code).toBe(0);
  });

  it("is recorded in the state once it is applied, for a client URL", async () => {
    const before = attributesOf("haplan_raft_member.m3")?.["clientUrl"];
    edit("clientPort: 2379", "clientPort: 2479");
    const { out } = await cli.haplan("plan three.yaml");
    expect(out).not.toContain("only the state is outdated");
    cli.world.failing = (act) => (act.startsWith("startUnit") ? "it broke" : null);
    expect((await cli.haplan("apply -auto-approve three.yaml")).err).toContain("Step failed");
    expect(attributesOf("haplan_raft_member.m3")?.["clientUrl"]).toBe(before);
    // Nor does a refresh record changes that are not applied.
    expect(await cli.haplan("apply -refresh-only -auto-approve three.yaml")).toMatchObject({ code: 0 });
    expect(attributesOf("haplan_raft_member.m3")?.["clientUrl"]).toBe(before);
    cli.world.failing = () => null;
    expect((await cli.haplan("apply -auto-approve three.yaml")).code).toBe(0);
    expect(attributesOf("haplan_raft_member.m3")?.["clientUrl"]).toBe("https://127.0.1.3:2479");
    expect((await plan("")).code).toBe(0);
  });
});
