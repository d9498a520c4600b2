/** `haplan status -watch` as whole command lines: it tells what happens to a cluster until it is stopped. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, type CliRun, createCliFixture, unstoppable } from "../../test/support/command-line.ts";

let cli: CliFixture;
/** How often the machines were looked at. */
let looks = 0;
beforeEach(() => {
  cli = createCliFixture();
  cli.openProvider = (_, inMemory) => ({
    ...inMemory,
    observe: (...args) => {
      looks += 1;
      return inMemory.observe(...args);
    },
  });
});
afterEach(() => cli.remove());

function stopAgent(name: string): void {
  for (const unit of cli.world.facts.machines.get(name)!.units.values()) unit.running = false;
}

/** The look under way ends, and a whole one follows. */
async function anotherLook(): Promise<void> {
  for (const seen = looks; looks < seen + 3; ) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Runs until Ctrl-C, which comes once `acts` were done, some looks apart. */
async function watched(flags: string, ...acts: readonly (() => void)[]): Promise<CliRun> {
  expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  cli.stop = unstoppable();
  const run = cli.haplan(`status three.yaml -watch ${flags}`);
  for (const act of acts) {
    await anotherLook();
    act();
  }
  await anotherLook();
  cli.stop.receive("SIGINT");
  return run;
}

describe("status -watch", () => {
  it("shows the status once in a log, then a line for each change, and exits as status does", async () => {
    const { code, out, err } = await watched(
      "-interval=200ms",
      () => stopAgent("m3"),
      () => stopAgent("m2"),
    );
    expect(err).not.toContain("Error");
    expect(out.match(/Cluster demo/g)).toHaveLength(1);
    const lines = out.split("\n").filter((line) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ /.test(line));
    expect(lines.map((line) => line.slice(21)).filter((line) => /stopped|lose|quorum/.test(line))).toEqual([
      "can lose 0 (was 1): 2 of 3 voters healthy, quorum 2",
      "m3 is stopped",
      "quorum lost: 0 of 3 voters healthy, quorum 2",
      "m2 is stopped",
    ]);
    expect(code).toBe(4);
  });

  it("prints one object for each look with -json", async () => {
    const { code, out } = await watched("-interval=200ms -json", () => stopAgent("m3"));
    const looks = out.split("\n").map((line) => JSON.parse(line));
    expect(looks.length).toBeGreaterThan(2);
    expect(looks[0]).toMatchObject({ format_version: "2.0", cluster: "demo", healthy_voters: 3, changes: [] });
    expect(looks.at(-1)).toMatchObject({ healthy_voters: 2, can_lose: 0 });
    const changes = looks.flatMap((look) => look.changes);
    expect(changes).toContainEqual({ kind: "member", subject: "m3", text: "m3 is stopped" });
    expect(code).toBe(0);
  });
});

describe("the interval", () => {
  it.each([
    ["status three.yaml -interval=5s", "-interval says how often -watch looks", "Add -watch"],
    ["status three.yaml -watch -interval=1ms", "-interval=1ms is too short", "Write at least 200ms."],
    ["status three.yaml -watch -interval=often", "-interval often is not a duration", "such as 30s"],
  ])("is refused: %s", async (line, summary, detail) => {
    const { code, err } = await cli.haplan(line);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(summary) });
    expect(err).toContain(detail);
  });
});
