/**
 * A member with a value that was changed on disk: the others notice, raise the alarm that etcd's tools know, and send
 * it their state. First for a follower, then for the leader.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeKeyValue, encodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { openLmdbBackend } from "../../src/raft-agent/mvcc/backend/lmdb-backend.ts";
import { type ClusterFacts, closeFacts, learnFacts, speak } from "./conversation.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";
import { b64, call, put, range } from "./script-words.ts";

const host = "127.77.24.6";
const quick = ["--heartbeat-interval=50", "--election-timeout=500", "--corrupt-check-time=500ms"];
const withinMs = 15_000;

describe("a damaged member", () => {
  let cluster: ClusterProcesses;
  let facts: ClusterFacts;
  beforeAll(async () => {
    cluster = await startCluster("agent", host, { members: 3, flags: quick });
  });
  afterAll(async () => {
    await closeFacts(facts);
    await cluster?.stop();
  });

  /** Changes what the stopped member has stored under `key`, below every check. */
  async function damage(member: number, key: string): Promise<void> {
    let isChanged = false;
    const backend = openLmdbBackend({ directory: `${cluster.dataDir(member)}/member/snap` });
    backend.scan(0, 0, (main, sub, tombstone, stored) => {
      const kv = decodeKeyValue(stored);
      if (tombstone || Buffer.from(kv.key).toString() !== key) return true;
      const value = Uint8Array.from(kv.value, (byte) => byte ^ 1);
      backend.put(main, sub, false, encodeKeyValue({ ...kv, key: kv.key.slice(), value }));
      isChanged = true;
      return false;
    });
    await backend.close();
    // Reading it from the member itself would race with its repair.
    expect(isChanged).toBe(true);
  }

  const hashOf = async (part: number): Promise<number> =>
    ((await speak(call("Maintenance/HashKV"), part, facts)) as { hash: number }).hash;
  const valueAt = (part: number): Promise<unknown> => speak(range("k/1", { serializable: true }), part, facts);

  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadlineMs = Date.now() + withinMs;
    while (!(await holds())) {
      if (Date.now() > deadlineMs) throw new Error(`${what} did not come true within ${withinMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The number of alarms in the list; an error counts as none. */
  const alarms = async (): Promise<number> =>
    (((await speak(call("Maintenance/Alarm"), 0, facts)) as { alarms?: unknown[] }).alarms ?? []).length;

  it("is detected and gets the state of the others", { timeout: 60_000 }, async () => {
    facts = await learnFacts(cluster.urls);
    for (let at = 0; at < 20; at++) await speak(put(`k/${at}`, `value ${at}`), 0, facts);
    const victim = cluster.urls.indexOf(facts.endpoints[1]!);
    await cluster.terminate(victim);
    await damage(victim, "k/1");
    await cluster.restart(victim);
    // The comparison needs a new revision.
    await speak(put("k/new"), 0, facts);
    await until("the repair", async () => (await hashOf(1)) === (await hashOf(0)));
    await until("the end of the alarm", async () => (await alarms()) === 0);
    expect(await valueAt(1)).toEqual(await valueAt(0));
    expect(await speak(put("k/after"), 1, facts)).not.toHaveProperty("code");
    expect(await speak(range("k/after"), 1, facts)).toMatchObject({ kvs: [{ key: b64("k/after") }] });
  });

  it("that leads transfers leadership and is repaired as well", { timeout: 60_000 }, async () => {
    await closeFacts(facts);
    facts = await learnFacts(cluster.urls);
    const victim = cluster.urls.indexOf(facts.endpoints[1]!);
    await cluster.terminate(victim);
    await damage(victim, "k/2");
    await cluster.restart(victim);
    await closeFacts(facts);
    facts = await learnFacts(cluster.urls);
    const part = facts.endpoints.indexOf(cluster.urls[victim]!);
    const target = [...facts.memberIds.entries()].find(([name]) => name.endsWith(`-${victim + 1}`))![1];
    await speak(call("Maintenance/MoveLeader", { targetID: target }), 0, facts);
    await speak(put("k/newer"), part, facts);
    const others = [0, 1, 2].filter((one) => one !== part);
    await until("the repair", async () => (await hashOf(part)) === (await hashOf(others[0]!)));
    await until("the end of the alarm", async () => (await alarms()) === 0);
    expect(await hashOf(others[1]!)).toBe(await hashOf(part));
    expect(await speak(put("k/last"), part, facts)).not.toHaveProperty("code");
  });

  it("that agrees again loses its alarm even when the leader that repaired it is lost", async () => {
    const memberID = [...facts.memberIds.values()][0]!;
    await speak(call("Maintenance/Alarm", { action: "ACTIVATE", memberID, alarm: "CORRUPT" }), 0, facts);
    await until("the end of the alarm", async () => (await alarms()) === 0);
    expect(await speak(put("k/written"), 0, facts)).not.toHaveProperty("code");
  });
});
