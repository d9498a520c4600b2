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
