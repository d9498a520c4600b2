/** Which commands lock the hosts of a cluster, and when. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HaplanError } from "../../src/base/haplan-error.ts";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
/** What was asked of the provider first: its locks, and observations. */
let asked: string[];
let refusal: HaplanError | null;
beforeEach(async () => {
  cli = createCliFixture();
  expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  asked = [];
  refusal = null;
  cli.openProvider = (_, inMemory) => ({
    ...inMemory,
    lock: async ({ operation, pid }, { timeoutMs }) => {
      asked.push(`lock ${operation} ${timeoutMs}`);
      expect(pid).toBe(process.pid);
      if (refusal !== null) throw refusal;
    },
    reinstall: async () => {
      asked.push("reinstall");
      return [];
    },
    observe: (...given) => {
      asked.push("observe");
      return inMemory.observe(...given);
    },
  });
});
afterEach(() => cli.remove());

describe("B4: the hosts", () => {
  it.each([
    ["apply three.yaml -auto-approve", "lock apply 0"],
    ["apply three.yaml -auto-approve -lock-timeout=20s", "lock apply 20000"],
    ["certs rotate m1 -spec three.yaml -auto-approve", "lock apply 0"],
    ["destroy three.yaml -auto-approve", "lock destroy 0"],
  ])("are locked by `%s` before anything is observed", async (line, lock) => {
    expect((await cli.haplan(line)).code).toBe(0);
    expect(asked.slice(0, 3)).toEqual([lock, "reinstall", "observe"]);
  });

  it.each(["plan three.yaml", "status three.yaml", "apply three.yaml -auto-approve -lock=false"])(
    "are not locked by `%s`",
    async (line) => {
      expect((await cli.haplan(line)).code).toBe(0);
      expect(asked.filter((call) => call.startsWith("lock"))).toEqual([]);
      expect(asked).toContain("observe");
    },
  );

  it("let no other run change anything, which names the one that has the lock", async () => {
    refusal = new HaplanError(
      "lock/held",
      "The cluster is locked on 10.0.0.1 by another run of haplan\n  Who:       admin",
    );
    const before = JSON.stringify([...cli.world.facts.machines.keys()]);
    const { code, out, err } = await cli.haplan("destroy three.yaml -auto-approve");
    expect([code, out, err]).toEqual([1, "", expect.stringMatching(/locked on 10\.0\.0\.1[\s\S]*Who: +admin/)]);
    expect(asked).toEqual(["lock destroy 0"]);
    expect(JSON.stringify([...cli.world.facts.machines.keys()])).toBe(before);
  });
});
