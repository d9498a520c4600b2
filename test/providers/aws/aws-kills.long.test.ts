/** A sample of aws-kills.soak.test.ts: haplan is killed with SIGKILL at calls to AWS, and run again. */
import { beforeAll, describe, expect, it } from "vitest";
import { findEmulator, useEmulator } from "./emulator.ts";
import { buildKilledHaplan, KilledHaplan } from "./killed-haplan.ts";
import { expectOneOfEach } from "./killed-outcome.ts";

const environment = await findEmulator(process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);

describe.skipIf("missing" in environment)("haplan that is killed at a call to AWS", () => {
  const emulated = useEmulator(environment);
  beforeAll(buildKilledHaplan, 60_000);

  it("A2: leaves what the next one adopts, after it has asked for an instance", { timeout: 120_000 }, async () => {
    const cluster = await KilledHaplan.open(emulated.aws);
    try {
      const kill = { call: "RunInstances", number: 2, when: "after" } as const;
      const killed = await cluster.run("apply -auto-approve", kill);
      expect(killed).toMatchObject({ signal: "SIGKILL", isKilled: true });
      await expectOneOfEach(cluster, emulated.aws, kill);
    } finally {
      await cluster.close();
    }
  });
});
