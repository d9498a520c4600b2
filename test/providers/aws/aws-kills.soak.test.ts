/**
 * haplan is killed with SIGKILL before and after each call that changes something in AWS, and run again: one of each object is there.
 * Either each kill has a cluster of its own, or each run that continues is killed at its next call.
 */
import { inspect } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { counts, emptyAccount, listAccount } from "./emulated-account.ts";
import { type AwsEmulator, findEmulator, useEmulator } from "./emulator.ts";
import { buildKilledHaplan, KilledHaplan } from "./killed-haplan.ts";
import { expectOneOfEach, keptOf } from "./killed-outcome.ts";
import { changesSomething, type Kill } from "./killing-proxy.ts";
import { killsOf } from "./kills-of.ts";

const environment = await findEmulator(true);
/** Of how many kills one is played; 1: all are. */
const stride = Number(process.env["HAPLAN_TEST_KILL_STRIDE"] ?? 1);

/** A command makes more calls than these, and no more than those. */
const [killsMin, killsMax] = [10, 200];

type KilledCommand = {
  readonly title: string;
  readonly words: string;
  /** Brings the cluster to where the command begins; returns what it has to keep. */
  prepare(cluster: KilledHaplan, aws: AwsEmulator): Promise<object>;
  /** Runs haplan again after `kill`. */
  finish(cluster: KilledHaplan, aws: AwsEmulator, kill: Kill, kept: object): Promise<void>;
};

const applyOrFail = async (cluster: KilledHaplan): Promise<void> => {
  const { code, stdout, stderr } = await cluster.run("apply -auto-approve");
  expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
};

const commands: readonly KilledCommand[] = [
  {
    title: "A2: leaves what the next apply adopts",
    words: "apply -auto-approve",
    prepare: async () => ({}),
    finish: async (cluster, aws, kill) => await expectOneOfEach(cluster, aws, kill),
  },
  {
    title: "A3: keeps members and data volumes while masters get other instances",
    words: "apply -auto-approve",
    prepare: async (cluster, aws) => {
      await applyOrFail(cluster);
      const kept = await keptOf(cluster, aws);
      cluster.edit((text) => text.replace("instanceType: m7i.large", "instanceType: m7i.xlarge"));
      return kept;
    },
    finish: async (cluster, aws, kill, kept) => {
      // Of an instance without a data volume in the call, moto makes the root volume as well.
      await expectOneOfEach(cluster, aws, kill, 8);
      expect({ ...kill, ...(await keptOf(cluster, aws)) }).toEqual({ ...kill, ...kept });
    },
  },
  {
    title: "A2: leaves what the next destroy removes",
    words: "destroy -auto-approve",
    prepare: async (cluster) => {
      await applyOrFail(cluster);
      return {};
    },
    finish: async (cluster, aws, kill) => {
      const { code, stderr } = await cluster.run("destroy -auto-approve");
      expect({ ...kill, code, stderr }).toMatchObject({ ...kill, code: 0 });
      expect({ ...kill, ...counts(await listAccount(aws)) }).toEqual({ ...kill, ...emptyAccount });
    },
  },
];

describe.skipIf("missing" in environment)("haplan that is killed at a call to AWS", () => {
  const emulated = useEmulator(environment);
  beforeAll(buildKilledHaplan, 60_000);

  const withCluster = async <T>(use: (cluster: KilledHaplan) => Promise<T>): Promise<T> => {
    const cluster = await KilledHaplan.open(emulated.aws);
    try {
      return await use(cluster);
    } finally {
      await cluster.close();
    }
  };

  const callsOf = async ({ words, prepare }: KilledCommand): Promise<readonly string[]> =>
    withCluster(async (cluster) => {
      await prepare(cluster, emulated.aws);
      const { code, calls } = await cluster.run(words);
      expect(code).toBe(0);
      return calls;
    });

  /** Whether the call was made: steps that run at the same time do not always need the same number of calls. */
  const killAndFinish = async ({ words, prepare, finish }: KilledCommand, kill: Kill): Promise<boolean> =>
    withCluster(async (cluster) => {
      const kept = await prepare(cluster, emulated.aws);
      const { isKilled, code } = await cluster.run(words, kill);
      if (!isKilled) expect({ ...kill, code }).toEqual({ ...kill, code: 0 });
      await finish(cluster, emulated.aws, kill, kept);
      return isKilled;
    });

  /** Each run makes one call that changes something, and is killed. Returns the calls at which that happened. */
  const killAtEach = async ({ words, prepare, finish }: KilledCommand, when: Kill["when"]): Promise<string[]> =>
    withCluster(async (cluster) => {
      const kept = await prepare(cluster, emulated.aws);
      const kill = { call: null, number: when === "before" ? 2 : 1, when };
      const killed: string[] = [];
      for (;;) {
        const { isKilled, code, calls, stdout, stderr } = await cluster.run(words, kill);
        if (!isKilled) {
          expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
          await finish(cluster, emulated.aws, kill, kept);
          return killed;
        }
        killed.push(calls.findLast(changesSomething)!);
        console.log(`${when} ${killed.length}: ${killed.at(-1)}`);
        expect(killed.length).toBeLessThan(killsMax);
      }
    });

  it.each(commands.flatMap((command) => (["before", "after"] as const).map((when) => ({ ...command, when }))))(
    "$title, each run killed $when its next call that changes something",
    { timeout: 3_600_000 },
    async ({ when, ...command }) => {
      const killed = await killAtEach(command, when);
      expect(killed.length).toBeGreaterThan(killsMin);
    },
  );

  const killWithin = async (attempts: number, command: KilledCommand, kill: Kill): Promise<"killed" | "not made"> => {
    if (await killAndFinish(command, kill)) return "killed";
    return attempts === 1 ? "not made" : killWithin(attempts - 1, command, kill);
  };

  it.each(commands.flatMap((command) => (["before", "after"] as const).map((when) => ({ ...command, when }))))(
    "$title, killed $when each call that changes something",
    { timeout: 3_600_000 },
    async ({ when, ...command }) => {
      const kills = killsOf(await callsOf(command), when);
      const played = kills.filter((_, at) => at % stride === 0);
      const outcomes: string[] = [];
      for (const kill of played) {
        const outcome = await killWithin(3, command, kill).catch((error: unknown) =>
          inspect(error, { depth: 4, maxStringLength: 4_000 }),
        );
        console.log(`${when} ${kill.call} ${kill.number}: ${outcome}`);
        outcomes.push(outcome);
      }
      const notMade = outcomes.filter((outcome) => outcome === "not made").length;
      console.log(`${played.length} of ${kills.length} kills ${when}, ${notMade} calls not made`);
      expect(outcomes.filter((outcome) => outcome !== "killed" && outcome !== "not made")).toEqual([]);
      expect(notMade).toBeLessThan(played.length / 5);
    },
  );
});
