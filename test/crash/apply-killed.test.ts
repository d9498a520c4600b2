/**
 * Kills apply and destroy with SIGKILL around their side effects, each time at one where no earlier run has died:
 * before and within every line of the journal, and inside steps wherever the world is changed (see die-at-act.mjs).
 * What was interrupted is resumed, and interrupted at the next side effect, until a run completes: it has to reach its
 * goal, without duplicates, and with a permanent quorum. A sample of the side effects by default;
 * HAPLAN_TEST_EVERYTHING dies at all of them, or at every second one of the longest operations; a soak at all of them.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { addressOf, ClusterFixture, type ClusterShape, specText } from "../e2e/cluster-fixture.ts";

const network = 26;
const everything = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;
/** CI dies at one in so many of those acts: all of them take thirteen minutes. */
const fewerBy = Number(process.env["HAPLAN_CRASH_STRIDE"] ?? 1);
/** Every operation has more acts than that: each is killed at least once. */
const widestStride = 90;
const three: ClusterShape = { network, masters: 3, tls: everything };
const five: ClusterShape = { ...three, masters: 5 };
const dieAtAct = fileURLToPath(new URL("die-at-act.mjs", import.meta.url));

const cluster = new ClusterFixture(three);
const actsFile = `${cluster.directory}.acts`;
afterAll(async () => {
  rmSync(actsFile, { force: true });
  await cluster.teardown();
});

/**
 * Sends linearizable reads repeatedly: they are answered as long as there is a majority. Failures count from the first
 * response on, since a cluster that is being created has no quorum yet.
 */
class QuorumProbe {
  readonly failures: string[] = [];
  answers = 0;
  longestMs = 0;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor() {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    let client: EtcdClient | null = null;
    while (!this.#stopped) {
      const started = performance.now();
      try {
        client ??= openClient();
        await this.#answered(client, started + (this.answers > 0 ? 6_000 : 0));
        this.answers += 1;
        this.longestMs = Math.max(this.longestMs, performance.now() - started);
      } catch (error) {
        if (this.answers > 0) this.failures.push(String(error));
        // Certificates may have been created meanwhile.
        await client?.grpc.close();
        client = null;
      }
      await sleep(50);
    }
    await client?.grpc.close();
  }

  /** A read lost with a stopping member is retried: another member can answer it. */
  async #answered(client: EtcdClient, deadlineMs: number): Promise<void> {
    for (;;) {
      try {
        await client.range("/probe");
        return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
        await sleep(20);
      }
    }
  }
}

/**
 * To all possible members, first those that no operation touches: one that has lost its vote and waits for its removal
 * rejects reads like a learner. @throws while there are no certificates
 */
function openClient(): EtcdClient {
  const scheme = three.tls ? "https" : "http";
  const endpoints = [5, 4, 3, 2, 1].map((host) => `${scheme}://${addressOf(network, host)}:2379`);
  const pem = (name: string): Buffer => readFileSync(join(cluster.directory, ".haplan", cluster.name, "pki", name));
  const tls = three.tls ? { tls: { ca: pem("ca.crt"), cert: pem("admin.crt"), key: pem("admin.key") } } : {};
  return new EtcdClient(connect({ endpoints, connectTimeoutMs: 1_000, ...tls }), { timeoutMs: 6_000 });
}

type Operation = {
  readonly name: string;
  /** Arguments that start the operation, and resume an interrupted one. */
  readonly prepare: () => Promise<readonly string[]>;
  readonly check: () => Promise<void>;
  /** Only in the long run. */
  readonly long?: true;
  /** In the long run, how many acts there are between two of those at which it is killed; 1 unless given. In a soak it is 1. */
  readonly stride?: number;
  /** Destroying ends the quorum. */
  readonly probed: boolean;
};

async function expectWhole(masters: number): Promise<void> {
  const plan = await cluster.haplan(["plan", "-detailed-exitcode"]);
  expect({ code: plan.code, plan: plan.code === 0 ? "" : plan.stdout + plan.stderr }).toEqual({ code: 0, plan: "" });
  const { members, voters } = await cluster.status();
  expect(members.map(({ healthy }) => healthy)).toEqual(Array.from({ length: masters }, () => true));
  expect(new Set(members.map(({ name }) => name)).size).toBe(masters);
  expect(voters).toBe(masters);
  expect(cluster.processes()).toHaveLength(masters + 1);
}

let replaced = "";
const idOf = async (name: string): Promise<string> =>
  (await cluster.status()).members.find((member) => member.name === name)?.id ?? "";

const operations: readonly Operation[] = [
  {
    name: "create",
    probed: true,
    prepare: async () => {
      cluster.writeSpec(three);
      return ["apply", "-auto-approve"];
    },
    check: () => expectWhole(3),
  },
  {
    name: "3 to 5",
    stride: 2,
    probed: true,
    prepare: async () => {
      cluster.writeSpec(five);
      return ["apply", "-auto-approve"];
    },
    check: () => expectWhole(5),
  },
  {
    name: "replace",
    long: true,
    stride: 2,
    probed: true,
    prepare: async () => {
      replaced = await idOf("m2");
      // Planned by the same build that applies: the plan is bound to the version.
      expect((await cluster.start(["plan", "-replace=haplan_machine.m2", "-out=replace.plan"]).end).code).toBe(0);
      return ["apply", "replace.plan"];
    },
    check: async () => {
      await expectWhole(5);
      expect(await idOf("m2")).not.toBe(replaced);
    },
  },
  {
    name: "T12: move",
    long: true,
    stride: 2,
    probed: true,
    prepare: async () => {
      replaced = await idOf("m1");
      const place = (host: number): string => `address: ${addressOf(network, host)} }`;
      cluster.writeSpec(specText(five).replace(place(1), place(21)));
      return ["apply", "-auto-approve"];
    },
    check: async () => {
      await expectWhole(5);
      expect(await idOf("m1")).not.toBe(replaced);
      expect(readdirSync(join(cluster.directory, ".haplan", cluster.name, "machines"))).toHaveLength(6);
    },
  },
  {
    name: "replace the authority",
    // Only the long run has TLS.
    long: true,
    stride: 20,
    probed: true,
    prepare: async () => ["certs", "rotate", "-ca", "-auto-approve"],
    check: () => expectWhole(5),
  },
  {
    name: "drop the previous authority",
    long: true,
    stride: 20,
    probed: true,
    prepare: async () => ["certs", "rotate", "-drop-old", "-auto-approve"],
    check: () => expectWhole(5),
  },
  {
    name: "destroy",
    probed: false,
    prepare: async () => ["destroy", "-auto-approve"],
    check: async () => {
      expect(cluster.processes()).toEqual([]);
      const left = existsSync(join(cluster.directory, ".haplan"))
        ? readdirSync(join(cluster.directory, ".haplan"), { recursive: true })
        : [];
      expect(left).toEqual([]);
    },
  },
];

/** Runs until no side effect is left to die at, or none of every `stride`. Returns how many runs were killed. */
async function interruptAtEachAct(args: readonly string[], stride: number): Promise<number> {
  const env = { HAPLAN_ACTS: actsFile, HAPLAN_ACTS_STRIDE: String(stride) };
  for (let kills = 0; ; kills += 1) {
    const run = await cluster.start(args, { env, nodeFlags: ["--import", dieAtAct] }).end;
    if (run.signal === "SIGKILL") continue;
    // Killed after its last line, a saved plan is done and therefore stale; and everything is destroyed.
    if (run.code !== 0)
      expect(run.stderr).toMatch(
        /Saved plan is stale|no state|nothing to destroy|previous (?:one|certificate authority)/i,
      );
    return kills;
  }
}

function strideOf({ stride = 1 }: Operation): number {
  if (!everything) return widestStride;
  return process.env["HAPLAN_TEST_SOAK"] === undefined ? Math.min(stride * fewerBy, widestStride) : 1;
}

async function carryOut(operation: Operation): Promise<number> {
  const args = await operation.prepare();
  rmSync(actsFile, { force: true });
  const probe = operation.probed ? new QuorumProbe() : null;
  const kills = await interruptAtEachAct(args, strideOf(operation));
  await probe?.stop();
  await operation.check();
  const acts = readFileSync(actsFile, "utf8").split("\n").length - 1;
  const quorum =
    probe === null ? "" : `, ${probe.answers} reads answered, the slowest after ${Math.round(probe.longestMs)} ms`;
  console.log(`${operation.name}: ${acts} acts, ${kills} runs were killed${quorum}`);
  expect(probe?.failures ?? []).toEqual([]);
  expect(probe?.answers).not.toBe(0);
  return kills;
}

describe("an operation killed with SIGKILL", () => {
  it(
    `reaches its goal, without duplicates and without losing the quorum (${everything ? "every act" : "a sample of acts"})`,
    // Hundreds of runs are not retried.
    everything ? { timeout: 1_800_000, retry: 0 } : { timeout: 120_000 },
    async () => {
      await cluster.mustRun("destroy", "-auto-approve");
      for (const operation of operations) {
        if (operation.long === true && !everything) continue;
        const kills = await carryOut(operation);
        expect(kills).toBeGreaterThan(0);
      }
    },
  );
});
