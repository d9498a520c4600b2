/** An apply that leaves unreachable machines as they are names them: of a saved plan as well, and for programs. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(async () => {
  cli = createCliFixture();
  expect(await cli.haplan("apply three.yaml -auto-approve")).toMatchObject({ code: 0 });
  const spec = join(cli.cwd, "three.yaml");
  const workers = /^( *)workers:.*$/m;
  expect(readFileSync(spec, "utf8")).toMatch(workers);
  writeFileSync(spec, readFileSync(spec, "utf8").replace(workers, "$&\n$1  - { name: w9, address: 127.0.1.99 }"));
});
afterEach(() => cli.remove());

const told = "haplan_machine.m2 was left as it is, because it is unreachable";

describe("apply with an unreachable machine", () => {
  it("of a new plan: names it once all else is done", async () => {
    cli.world.unreachable.add("m2");
    const applied = await cli.haplan("apply three.yaml -auto-approve");
    expect(applied.code).toBe(0);
    expect(applied.err).toContain(`Warning: ${told}`);
    expect(applied.err).toMatch(/Nothing was changed there. Run haplan apply again once it answers/);
  });

  it.each([
    { when: "before", planned: true },
    { when: "after", planned: false },
  ])(
    "of a saved plan, unreachable since $when it was made: names it before the first step, and at the end",
    async ({ planned }) => {
      if (planned) cli.world.unreachable.add("m2");
      expect(await cli.haplan("plan three.yaml -out=saved.plan")).toMatchObject({ code: 0 });
      cli.world.unreachable.add("m2");
      const lines = (await cli.haplan("apply -json saved.plan")).out
        .split("\n")
        .map((line) => JSON.parse(line) as { type: string; diagnostic?: { code: string; address?: string } });
      const warnings = lines.filter(({ type }) => type === "diagnostic").map(({ diagnostic }) => diagnostic);
      expect(warnings).toMatchObject([
        { severity: "warning", code: "plan/unreachable", summary: "haplan_machine.m2 is unreachable" },
        { severity: "warning", code: "apply/unreachable", summary: told },
      ]);
      const at = (code: string): number => lines.findIndex(({ diagnostic }) => diagnostic?.code === code);
      expect(at("plan/unreachable")).toBeLessThan(lines.findIndex(({ type }) => type === "step_start"));
    },
  );

  it("says it as text as well, and nothing of machines that answer again", async () => {
    expect(await cli.haplan("plan three.yaml -out=saved.plan")).toMatchObject({ code: 0 });
    cli.world.unreachable.add("m2");
    cli.world.unreachable.add("m3");
    const { code, err } = await cli.haplan("apply saved.plan");
    expect(code).toBe(0);
    expect(err).toContain("Warning: haplan_machine.m2 is unreachable");
    expect(err).toContain(
      "Warning: haplan_machine.m2, haplan_machine.m3 were left as they are, because they are unreachable",
    );
    cli.world.unreachable.clear();
    expect((await cli.haplan("apply three.yaml -auto-approve")).err).not.toContain("unreachable");
  });
});

describe("status with unreachable machines", () => {
  const machines = ["m2", "load-balancer", "w1"];
  /** In another order than that of the spec. */
  const lose = (): void => machines.toReversed().forEach((name) => void cli.world.unreachable.add(name));

  it("names them in the order of the spec, as text, on standard error and in JSON, and calls nothing there stopped", async () => {
    lose();
    const { code, out, err } = await cli.haplan("status three.yaml -detailed-exitcode");
    expect(code).toBe(0);
    expect(out.match(/^Machine \S+ is unreachable: no route to host$/gm)).toEqual(
      machines.map((name) => `Machine ${name} is unreachable: no route to host`),
    );
    expect(out).not.toContain("not running");
    expect(err).toContain(
      "Warning: 3 machines were not reached, and what runs there is unknown: m2, load-balancer, w1",
    );
    const document = JSON.parse((await cli.haplan("status three.yaml -json")).out);
    expect(document).toMatchObject({
      load_balancer: { state: "unreachable", unreachable: "no route to host", pid: null },
      unreachable: machines.map((name) => ({ name, reason: "no route to host" })),
    });
  });

  it("warns in plans in the order of the spec", async () => {
    lose();
    const { err } = await cli.haplan("plan three.yaml");
    expect(err.match(/haplan_machine\.\S+ is unreachable/g)).toEqual(
      machines.map((name) => `haplan_machine.${name} is unreachable`),
    );
  });
});
