/** Updates that wait for a member that is down, as an operator and a pipeline see them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(async () => {
  cli = createCliFixture();
  expect(await haplan("apply three.yaml -auto-approve")).toMatchObject({ code: 0 });
});
afterEach(() => cli.remove());

const haplan = (line: string): Promise<CliRun> => cli.haplan(line);

/** m3's agent has stopped, m2's host is off, and all masters are to have another setting. */
function outage(): void {
  const { world, cwd } = cli;
  for (const name of ["m2", "m3"]) setRunning(name, false);
  world.unreachable.add("m2");
  const spec = readFileSync(join(cwd, "three.yaml"), "utf8");
  writeFileSync(join(cwd, "three.yaml"), spec.replace(/^( *)controlPlane:$/m, "$&\n$1  heartbeatIntervalMs: 50"));
}

function setRunning(name: string, running: boolean): void {
  for (const unit of cli.world.facts.machines.get(name)!.units.values()) unit.running = running;
}

describe("B3: an apply in an outage, with an update pending", () => {
  it("restores the quorum, exits with 1 until the update is made, and then with 0", async () => {
    outage();
    const planned = await haplan("plan three.yaml -detailed-exitcode");
    expect(planned.code).toBe(2);
    expect(planned.err).toContain("The update of haplan_agent.m1 is postponed");
    expect(planned.out).toContain("Plan: 0 to add, 1 to change, 0 to destroy.");

    const repaired = await haplan("apply three.yaml -auto-approve");
    expect(repaired.code).toBe(1);
    expect(repaired.out).toContain("Apply complete!");
    expect(repaired.err).toMatch(/Error: The update of haplan_agent.m1 is postponed/);
    expect(repaired.err).toContain("Run haplan apply again once m2 answers");
    expect(cli.world.hasQuorum()).toBe(true);

    const refused = await haplan("apply three.yaml -auto-approve");
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("haplan apply -replace=haplan_machine.m2");

    setRunning("m2", true);
    cli.world.unreachable.clear();
    expect(await haplan("apply three.yaml -auto-approve")).toMatchObject({ code: 0 });
    expect(await haplan("plan three.yaml -detailed-exitcode")).toMatchObject({ code: 0 });
    expect(cli.world.violations).toEqual([]);
  });

  it("exits with 0 after -target of the member that is down, and tells programs which plans are complete", async () => {
    outage();
    expect(await cli.planDocument("three.yaml")).toMatchObject({ applyable: true, complete: false });
    const target = "-target=haplan_agent.m3";
    expect(await cli.planDocument(`three.yaml ${target}`)).toMatchObject({ applyable: true, complete: true });
    expect(await haplan(`apply three.yaml -auto-approve ${target}`)).toMatchObject({ code: 0 });
    expect(cli.world.hasQuorum()).toBe(true);
  });
});
