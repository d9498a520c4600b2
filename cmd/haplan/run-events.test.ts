/** `haplan events` as whole command lines: one timeline from what each member logs and from the journal of applies. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { snapshotOfKeys } from "../../src/backup/snapshot.fixture.ts";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
/** What the agents log after the apply. */
const logged: Record<string, readonly string[]> = {};
const unreachable = new Set<string>();

beforeAll(async () => {
  cli = createCliFixture();
  cli.openProvider = (_, inMemory) => ({
    ...inMemory,
    logs: async function* (machine) {
      const name = typeof machine === "string" ? machine : machine.name;
      if (unreachable.has(name)) throw new Error("no route to host");
      for (const message of logged[name] ?? [])
        yield { machine: name, unit: "agent", timeMs: Date.parse("2031-01-01T00:00:00Z"), message };
      yield "current";
    },
  });
  expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  const id = [...cli.world.voters()].find(({ name }) => name === "m2")!.id;
  const elected = JSON.stringify({ msg: "leader elected", leader: id, term: 7 });
  Object.assign(logged, { m1: [elected], m2: [elected, '{"msg":"stopping"}'], m3: ["not JSON", elected] });
});
afterAll(() => cli.remove());

describe("events", () => {
  it("tells once what every member logs, by name, after the apply", async () => {
    const { code, out } = await cli.haplan("events three.yaml");
    expect(code).toBe(0);
    const lines = out.split("\n").map((line) => line.replace(/^\S+Z /, "").replace(/plan \w{12}/, "plan ID"));
    expect(lines).toEqual([
      "apply of plan ID began",
      expect.stringMatching(/^apply of plan ID is complete \(\d\d steps\)$/),
      "m2 is the leader in term 7",
      "m2 stops",
    ]);
  });

  it("names the leader of a cluster that a restore has replaced, whose ids the state has no longer", async () => {
    const { m1 = [], m2 = [] } = logged;
    const electedBefore = (role: string): string =>
      JSON.stringify({ msg: "leader elected", leader: "feed", term: 5, role });
    Object.assign(logged, { m1: [electedBefore("follower"), ...m1], m2: [electedBefore("leader"), ...m2] });
    const { out } = await cli.haplan("events three.yaml");
    expect(out).toContain("m2 is the leader in term 5");
    expect(out).not.toContain("feed");
    Object.assign(logged, { m1, m2 });
  });

  it("streams objects with -json", async () => {
    const { out } = await cli.haplan("events three.yaml -json");
    const last = JSON.parse(out.split("\n").at(-1)!);
    expect(last).toMatchObject({
      type: "event",
      "@message": "m2 stops",
      event: { time: "2031-01-01T00:00:00.000Z", kind: "member", member: "m2" },
    });
  });

  it("names a member whose log is not read, tells what the others say, and exits with 1", async () => {
    unreachable.add("m1");
    const { code, out, err } = await cli.haplan("events three.yaml");
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("The log of m1 could not be read") });
    expect(out).toContain("m2 is the leader in term 7");
    unreachable.clear();
  });

  it("refuses a time that it does not understand", async () => {
    const { code, err } = await cli.haplan("events three.yaml -since yesterday");
    expect({ code, err }).toMatchObject({
      code: 1,
      err: expect.stringContaining("-since yesterday is not a duration"),
    });
  });
});

describe("events after a recovery", () => {
  it("tell of it, also once something else was applied", async () => {
    const own = createCliFixture();
    try {
      own.openProvider = (_, inMemory) => ({
        ...inMemory,
        logs: async function* () {
          yield "current";
        },
      });
      expect((await own.haplan("apply three.yaml -auto-approve")).code).toBe(0);
      own.world.destroying = true;
      own.world.snapshotBytes = snapshotOfKeys(4);
      for (const name of ["m2", "m3"]) own.world.facts.machines.delete(name);
      expect((await own.haplan("recover three.yaml -auto-approve")).code).toBe(0);
      expect((await own.haplan("apply three.yaml -auto-approve -replace=haplan_worker.w1")).code).toBe(0);
      const { out } = await own.haplan("events three.yaml");
      const texts = out
        .split("\n")
        .map((line) => line.replace(/^\S+Z /, "").replace(/plan \w{12}.*? (began|is)/, "$1"));
      expect(texts).toEqual([
        "recovery of began",
        expect.stringMatching(/^recovery of is complete \(\d+ steps\)$/),
        "apply of began",
        expect.stringMatching(/^apply of is complete/),
      ]);
    } finally {
      own.remove();
    }
  });
});
