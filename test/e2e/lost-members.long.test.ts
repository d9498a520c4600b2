/** Members that die, lose their disk, or stand still, while clients write through the load balancer. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import { AcknowledgingWriter, missingWrites } from "./acknowledged-writes.ts";
import { applyAndKillAgent } from "./apply-and-kill-agent.ts";
import { addressOf, ClusterFixture, kill, killAndWait, type StatusMember, until } from "./cluster-fixture.ts";
import { isAlive } from "./dir-processes.ts";
import { settledHashes } from "./member-facts.ts";
import { wordsOf } from "./returning-members.ts";
import { runProgram } from "./run-program.ts";

/** With HAPLAN_TEST_EVERYTHING also the two ways to lose the quorum, which wait for real timeouts. */
const everything = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;
const network = 20;
const loadBalancer = `https://${addressOf(network, 100)}:2379`;
const urls = [1, 2, 3].map((host) => `https://${addressOf(network, host)}:2379`);

let cluster: ClusterFixture;
let members: readonly EtcdClient[];

beforeAll(async () => {
  cluster = new ClusterFixture({ network });
  await cluster.apply();
  members = urls.map((url) => cluster.client(url));
});

afterAll(() => cluster?.teardown());

/** Every test finds three healthy members, whatever the one before has left. */
beforeEach(async () => {
  await until("all members are healthy", async () => (await cluster.status()).members.every(({ healthy }) => healthy));
});

async function expectEqualStores(): Promise<void> {
  const { hashes } = await settledHashes(members);
  expect(new Set(hashes).size).toBe(1);
  expect(hashes[0]).toBeTypeOf("number");
}

describe("a leader killed with SIGKILL", () => {
  it("costs no acknowledged write, and writes go on within 3 seconds", async () => {
    const leader = await cluster.leader();
    const writer = new AcknowledgingWriter(cluster.client(loadBalancer), "/killed/");
    await until("the writer is under way", () => writer.acknowledged.length > 50);
    const killedAt = performance.now();
    await killAndWait(leader.pid);
    const resumed = await until("writes go on", () => writer.firstAfter(killedAt + 300) ?? false);
    await until("the writer is under way again", () => (writer.acknowledged.at(-1)?.atMs ?? 0) > resumed.atMs + 200);
    await writer.stop();

    const gaps = writer.acknowledged.map(({ atMs }, i) => atMs - (writer.acknowledged[i - 1]?.atMs ?? atMs));
    expect(Math.max(...gaps)).toBeLessThan(3_000);

    const plan = await cluster.haplan(["plan", "-detailed-exitcode"]);
    expect(plan.code).toBe(2);
    expect(plan.stdout).toContain(leader.name);
    expect(plan.stdout).toMatch(/drift|outside of haplan/i);
    const restored = await cluster.apply();
    expect(restored).toContain("0 destroyed");
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);

    const { members: after } = await cluster.status();
    expect(after.find(({ name }) => name === leader.name)).toMatchObject({ id: leader.id, healthy: true });
    await expectEqualStores();
    for (const member of members) expect(await missingWrites(member, writer.prefix, writer.acknowledged)).toEqual([]);
  });
});

/** Kills a follower, and removes its data. */
async function wipeFollower(): Promise<StatusMember> {
  const victim = (await cluster.status()).members.find(({ role }) => role === "follower")!;
  await killAndWait(victim.pid);
  rmSync(dataOf(victim), { recursive: true });
  return victim;
}

const dataOf = ({ name }: StatusMember): string => join(cluster.directory, ".haplan/e2e/machines", name, "data");

/** All three vote, there is nothing to do, and `former` has become another member of its name. */
async function expectReplaced(former: StatusMember): Promise<void> {
  const { members: after, voters } = await cluster.status();
  expect([voters, after.map(({ healthy }) => healthy)]).toEqual([3, [true, true, true]]);
  expect(after.find(({ name }) => name === former.name)!.id).not.toBe(former.id);
  expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  await expectEqualStores();
}

describe("a member whose disk came back empty", () => {
  it("G3: is replaced after its agent was started on it, and refused to start without its log", async () => {
    const { pid } = (await cluster.status()).members.find(({ role }) => role === "follower")!;
    const [file = "", ...words] = wordsOf(pid!);
    const victim = await wipeFollower();
    const booted = await runProgram(file, words, { cwd: cluster.directory });
    expect(booted).toMatchObject({ code: expect.any(Number), stderr: expect.stringContaining("its log is gone") });
    // As agents of earlier versions left it.
    for (const name of ["wal", "snap"]) mkdirSync(join(dataOf(victim), "member", name), { recursive: true });
    expect((await cluster.haplan(["plan"])).stdout).toContain("its data directory has no log");
    await cluster.apply();
    await expectReplaced(victim);
  }, 60_000);
});

describe("a member whose replacement dies before it has caught up", () => {
  it("is replaced by the next apply, and costs the others nothing", async () => {
    const victim = await wipeFollower();
    const run = await applyAndKillAgent(cluster, victim.name, `wait for ${victim.name} to catch up (lag <= 1000) ...`);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/did not (start|catch up)[\s\S]*removed\s+again/);
    await cluster.client(loadBalancer).put("/without", victim.name);
    await cluster.apply();
    await expectReplaced(victim);
  }, 60_000);
});

describe("a member whose replacement is under way when the load balancer dies", () => {
  it("is replaced, and the next apply starts the load balancer again", async () => {
    const victim = await wipeFollower();
    const balancer = (await cluster.status()).loadBalancer!;
    const run = cluster.start(["apply", "-auto-approve"]);
    await until("the learner is added", () => run.printed().includes(`add ${victim.name} as learner`));
    await killAndWait(balancer.pid);
    expect(await run.end).toMatchObject({ code: 0 });
    expect((await cluster.status()).members.map(({ healthy }) => healthy)).toEqual([true, true, true]);
    await cluster.apply();
    await cluster.client(loadBalancer).put("/again", "through the load balancer");
    await expectReplaced(victim);
  }, 60_000);
});

describe("a member that was removed from the cluster by hand", () => {
  it("joins again as another member with the next apply, on an empty data directory", async () => {
    const { members: before } = await cluster.status();
    const victim = before.find(({ role }) => role === "follower")!;
    await cluster.client(before.find(({ role }) => role === "leader")!.clientUrl).cluster.removeMember(victim.id);
    await until("the removed member has ended", () => !isAlive(victim.pid!));
    const writer = new AcknowledgingWriter(cluster.client(loadBalancer), "/removed/");
    await until("two write on", () => writer.acknowledged.length > 20);
    await cluster.apply();
    await writer.stop();
    await expectReplaced(victim);
    for (const member of members) expect(await missingWrites(member, writer.prefix, writer.acknowledged)).toEqual([]);
  }, 60_000);
});

describe("a member whose data directory was wiped", () => {
  it("comes back as a new member with everything the others have", async () => {
    const writer = new AcknowledgingWriter(cluster.client(loadBalancer), "/wiped/");
    await until("there is something to lose", () => writer.acknowledged.length > 50);
    const { members: before } = await cluster.status();
    const victim = before.find(({ role }) => role === "follower")!;
    await killAndWait(victim.pid);
    rmSync(dataOf(victim), { recursive: true });
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(2);
    await cluster.apply();
    await writer.stop();
    const { members: after, voters } = await cluster.status();
    expect(voters).toBe(3);
    expect(after).toHaveLength(3);
    const replaced = after.find(({ name }) => name === victim.name)!;
    expect(replaced.healthy).toBe(true);
    expect(replaced.id).not.toBe(victim.id);
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
    await expectEqualStores();
    for (const member of members) expect(await missingWrites(member, writer.prefix, writer.acknowledged)).toEqual([]);
  });
});

describe.each(everything ? ["two of three members"] : [])("%s stopped with SIGSTOP", () => {
  const stop = async (which: (member: StatusMember) => boolean): Promise<readonly StatusMember[]> => {
    const stopped = (await cluster.status()).members.filter(which);
    for (const { pid } of stopped) kill(pid ?? 0, "SIGSTOP");
    return stopped;
  };

  const losses = [
    ["the leader and a follower", "follower"],
    ["the followers", "leader"],
  ] as const;
  it.each(losses)(
    "leave clear errors and serializable reads when they are %s",
    async (_which, survivorRole) => {
      await members[0]!.put("/stopped", "before");
      const survivor = (await cluster.status()).members.find(({ role }) => role === survivorRole)!;
      const stopped = await stop(({ name }) => name !== survivor.name);
      expect(stopped).toHaveLength(2);
      try {
        // With no deadline of the client's own: it is the member that has to give up.
        const patient = cluster.client(survivor.clientUrl, 60_000);
        const reason = /request timed out|no leader|leader changed|lost/;
        const started = performance.now();
        const attempts = await Promise.allSettled([patient.put("/stopped", "meanwhile"), patient.range("/stopped")]);
        for (const attempt of attempts) {
          expect(attempt).toMatchObject({ status: "rejected", reason: { message: expect.stringMatching(reason) } });
        }
        expect(performance.now() - started).toBeLessThan(20_000);
        const { kvs } = await patient.range("/stopped", { serializable: true });
        expect(Buffer.from(decodeKeyValue(kvs[0]!).value).toString()).toBe("before");
        const status = await cluster.haplan(["status"]);
        expect(status.stdout).toMatch(/No quorum: [01] of 3 voters healthy/);
      } finally {
        for (const { pid } of stopped) kill(pid ?? 0, "SIGCONT");
      }
      await until("writes work again", () => cluster.client(loadBalancer, 1_000).put("/stopped", "after"));
      await expectEqualStores();
    },
    60_000,
  );
});

describe("writes to one key through different masters", () => {
  it("have one order, which every member tells", async () => {
    const first = (await members[0]!.put("/contested", "start")).header!.revision;
    const perMember = 100;
    const writes = members.map(async (member, m) => {
      for (let i = 0; i < perMember; i++) await putAtLeastOnce(member, "/contested", `${m}/${i}`);
    });
    await Promise.all(writes);
    const last = (await settledHashes(members)).revision;
    const histories = await Promise.all(members.map((member) => history(member, "/contested", first, last)));
    for (const other of histories.slice(1)) expect(other).toEqual(histories[0]);
    for (let m = 0; m < 3; m++) {
      const own = histories[0]!.filter(({ value }) => value.startsWith(`${m}/`)).map(({ value }) => value);
      expect([...new Set(own)]).toEqual(Array.from({ length: perMember }, (_, i) => `${m}/${i}`));
    }
  });
});

/** On a busy machine a leader may be taken for dead, and what became of a write then stays open: it is made again. */
async function putAtLeastOnce(member: EtcdClient, key: string, value: string): Promise<void> {
  for (;;) {
    try {
      await member.put(key, value);
      return;
    } catch (error) {
      if (!(error instanceof GrpcError) || error.code !== StatusCode.unavailable) throw error;
    }
  }
}

/** The changes of a key from one revision to another, as a member's watch tells them. */
async function history(
  member: EtcdClient,
  key: string,
  from: number,
  to: number,
): Promise<readonly { readonly revision: number; readonly value: string }[]> {
  const changes: { revision: number; value: string }[] = [];
  for await (const { events } of member.watch(key, { startRevision: from })) {
    for (const { kv } of events) {
      const { modRevision, value } = decodeKeyValue(kv!);
      changes.push({ revision: modRevision, value: Buffer.from(value).toString() });
    }
    if ((changes.at(-1)?.revision ?? 0) >= to) break;
  }
  return changes;
}
