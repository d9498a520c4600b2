/** An apply is killed before and after each call that changes something in AWS, and run again: one of each object is there. */
import { describe, expect, it } from "vitest";
import { counts, listAccount, prepareAccount } from "./emulated-account.ts";
import { createEmulatedCluster } from "./emulated-cluster.ts";
import { findEmulator, useEmulator } from "./emulator.ts";
import { killAt } from "./killed-applies.ts";

const environment = await findEmulator(true);

describe.skipIf("missing" in environment)("an apply that is killed at a call to AWS", () => {
  const emulated = useEmulator(environment);

  it.each(["before", "after"] as const)(
    "leaves what the next one adopts, killed %s each",
    { timeout: 900_000 },
    async (when) => {
      let kills = 0;
      for (let at = 1; ; at += 1) {
        await emulated.aws.reset();
        await prepareAccount(emulated.aws.ec2);
        const cluster = createEmulatedCluster(emulated.aws.endpoint);
        if (!(await killAt(cluster, at, when))) {
          cluster.cli.remove();
          break;
        }
        kills += 1;
        const { code, err } = await cluster.cli.haplan("apply -auto-approve cloud.yaml");
        expect({ at, code, err }).toMatchObject({ at, code: 0 });
        expect({ at, ...counts(await listAccount(emulated.aws)) }).toEqual({
          at,
          instances: 5,
          volumes: 5,
          groups: 3,
          balancers: 1,
          targetGroups: 1,
        });
        expect(cluster.cli.world.violations).toEqual([]);
        expect((await cluster.cli.haplan("plan -detailed-exitcode cloud.yaml")).code).toBe(0);
        cluster.cli.remove();
      }
      expect(kills).toBeGreaterThan(15);
      console.log(`${kills} kills ${when} calls`);
    },
  );
});
