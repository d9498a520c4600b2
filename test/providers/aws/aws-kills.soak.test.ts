/** haplan is killed with SIGKILL before and after each call that changes something in AWS, and run again: one of each object is there. */
import { beforeAll, describe, expect, it } from "vitest";
import { counts, emptyAccount, listAccount } from "./emulated-account.ts";
import { findEmulator, useEmulator } from "./emulator.ts";
import { buildKilledHaplan, KilledHaplan } from "./killed-haplan.ts";
import { changesSomething, expectOneOfEach, keptOf } from "./killed-outcome.ts";

const environment = await findEmulator(true);
/** Every how many calls it is killed; 1: at each. */
const stride = Number(process.env["HAPLAN_TEST_KILL_STRIDE"] ?? 1);

describe.skipIf("missing" in environment)("haplan that is killed at a call to AWS", () => {
  const emulated = useEmulator(environment);
  beforeAll(buildKilledHaplan, 60_000);

  it.each(["before", "after"] as const)(
    "A2: leaves what the next apply adopts, killed %s each that changes something",
    { timeout: 1_800_000 },
    async (when) => {
      const kills: string[] = [];
      for (let at = 1; ; at += stride) {
        const cluster = await KilledHaplan.open(emulated.aws);
        try {
          const { killedAt } = await cluster.run("apply -auto-approve", { at, when, counts: changesSomething });
          if (killedAt === null) break;
          kills.push(killedAt);
          await expectOneOfEach(cluster, emulated.aws, { at, when, killedAt });
        } finally {
          await cluster.close();
        }
      }
      console.log(`${kills.length} kills ${when}: ${kills.join(" ")}`);
      expect(kills.length * stride).toBeGreaterThan(20);
    },
  );

  it.each(["before", "after"] as const)(
    "A3: keeps members and data volumes while masters get other instances, killed %s each that changes something",
    { timeout: 1_800_000 },
    async (when) => {
      const kills: string[] = [];
      for (let at = 1; ; at += stride) {
        const cluster = await KilledHaplan.open(emulated.aws);
        try {
          expect(await cluster.run("apply -auto-approve")).toMatchObject({ code: 0 });
          const kept = await keptOf(cluster, emulated.aws);
          cluster.edit((text) => text.replace("instanceType: m7i.large", "instanceType: m7i.xlarge"));
          const { killedAt } = await cluster.run("apply -auto-approve", { at, when, counts: changesSomething });
          if (killedAt === null) break;
          kills.push(killedAt);
          // Of an instance without a data volume in the call, moto makes the root volume as well.
          await expectOneOfEach(cluster, emulated.aws, { at, when, killedAt }, 8);
          expect({ at, killedAt, ...(await keptOf(cluster, emulated.aws)) }).toEqual({ at, killedAt, ...kept });
        } finally {
          await cluster.close();
        }
      }
      console.log(`${kills.length} kills while instances change, ${when}: ${kills.join(" ")}`);
      expect(kills.length * stride).toBeGreaterThan(8);
    },
  );

  it.each(["before", "after"] as const)(
    "A2: leaves what the next destroy removes, killed %s each that changes something",
    { timeout: 1_800_000 },
    async (when) => {
      const kills: string[] = [];
      for (let at = 1; ; at += stride) {
        const cluster = await KilledHaplan.open(emulated.aws);
        try {
          expect(await cluster.run("apply -auto-approve")).toMatchObject({ code: 0 });
          const { killedAt } = await cluster.run("destroy -auto-approve", { at, when, counts: changesSomething });
          if (killedAt === null) break;
          kills.push(killedAt);
          const { code, stderr } = await cluster.run("destroy -auto-approve");
          expect({ at, killedAt, code, stderr }).toMatchObject({ at, killedAt, code: 0 });
          expect({ at, killedAt, ...counts(await listAccount(emulated.aws)) }).toEqual({
            at,
            killedAt,
            ...emptyAccount,
          });
        } finally {
          await cluster.close();
        }
      }
      console.log(`${kills.length} kills of destroy ${when}: ${kills.join(" ")}`);
      expect(kills.length * stride).toBeGreaterThan(10);
    },
  );
});
