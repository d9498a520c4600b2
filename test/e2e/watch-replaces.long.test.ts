/**
 * `haplan watch` puts spare hosts in the place of dead masters: which, when, when not, and what the next plan makes of it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { unitMarker } from "../../src/providers/local/process-table.ts";
import { addressOf, kill, killAndWait, specText, until } from "./cluster-fixture.ts";
import { WatchedCluster } from "./watched-cluster.ts";

const timeout = 120_000;
const network = 44;
const afterMs = 4_000;
const spares = [21, 22, 23, 24].map((host, at) => `{ name: s${at + 1}, address: ${addressOf(network, host)} }`);
const specWith = (perDay: number, listed = spares): string =>
  `${specText({ network })}  repair: { waitMs: 500, repairsPerHour: 9, replace: { afterMs: ${afterMs}, replacementsPerDay: ${perDay}, spares: [${listed.join(", ")}] } }\n`;

let cluster: WatchedCluster;

const member = (name: string): string => `haplan_raft_member.${name}`;

async function peerHostOf(name: string): Promise<string | undefined> {
  const { members } = await cluster.status();
  const found = members.find((each) => each.name === name && each.healthy);
  return found === undefined ? undefined : new URL(found.peerUrl).hostname;
}

/** Keeps a port from an agent: a process that counts as a unit of the cluster, so that no check names it before. */
async function takeUnnoticed(address: string, port: number): Promise<number> {
  const script = `require("node:net").createServer().listen(${port}, "${address}", () => console.log("listens"))`;
  const env = { ...process.env, [unitMarker]: join(cluster.directory, ".haplan/e2e/machines/other") };
  const holder = spawn(process.execPath, ["-e", script], { env, stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  return holder.pid!;
}

function journal(): string {
  return readFileSync(join(cluster.directory, ".haplan/e2e/journal.jsonl"), "utf8");
}

describe("haplan watch with spare hosts", { timeout }, () => {
  beforeAll(async () => {
    cluster = new WatchedCluster(specWith(1));
    await cluster.apply();
  }, timeout);
  afterEach(() => cluster.stopWatchers());
  afterAll(() => cluster?.teardown(), timeout);

  it("waits for as long as a master has to be dead without a break, and then replaces it", async () => {
    await cluster.startActiveWatch();
    await killAndWait(await cluster.pidOf("m2"));
    await until("m2 is found dead", () => cluster.events("finding", member("m2")).length > 0, 30_000);
    await sleep(afterMs / 2);
    await cluster.mustRun("apply", "-auto-approve");
    await until("m2 is found alive", () => cluster.events("resolved", member("m2")).length > 0, 30_000);
    await killAndWait(await cluster.pidOf("m2"));
    const deadAgain = await until("m2 is found dead again", () => cluster.events("finding", member("m2"))[1] ?? false);
    await until("m2 is replaced", () => cluster.events("repaired", member("m2")).length > 0, 60_000);
    const [begun, ...more] = cluster.events("repair");
    expect([begun, more]).toMatchObject([{ address: member("m2"), repair: "replace", spare: "s1" }, []]);
    expect(Date.parse(begun!.time) - Date.parse(deadAgain.time)).toBeGreaterThanOrEqual(afterMs);
    expect(await cluster.isWhole()).toBe(true);
    expect(await peerHostOf("m2")).toBe(addressOf(network, 21));
  });

  it("leaves nothing for the next plan, which says what to write into the spec", async () => {
    const plan = await cluster.haplan(["plan", "-detailed-exitcode"]);
    expect(plan.code).toBe(0);
    expect(plan.stdout + plan.stderr).toContain("haplan_machine.m2 is on the spare host s1");
    expect((await cluster.status()).members.map(({ name }) => name)).toEqual(["m1", "m2", "m3"]);
    cluster.writeSpec(specWith(1, spares.slice(1)).replace(addressOf(network, 2), addressOf(network, 21)));
    const written = await cluster.haplan(["plan", "-detailed-exitcode"]);
    expect(written.code).toBe(0);
    expect(written.stdout + written.stderr).not.toContain("is on the spare host");
    cluster.writeSpec(specWith(1));
    expect(await cluster.planCode()).toBe(0);
  });

  it("does not replace another master on the same day", async () => {
    const watcher = await cluster.startActiveWatch();
    await killAndWait(await cluster.pidOf("m2"));
    await until("it says so", () => watcher.printed().includes("as many masters as replacementsPerDay allows"), 30_000);
    await sleep(afterMs);
    expect(cluster.events("repair")).toHaveLength(1);
  });

  it.each(["createMachine", "addLearner", "changeVoters", "removeMember"])(
    "is finished by a second watcher when the first is killed as it begins %s",
    async (kind) => {
      cluster.writeSpec(specWith(9));
      cluster.writeAudit();
      await cluster.mustRun("apply", "-auto-approve");
      const before = await peerHostOf("m3");
      const first = await cluster.startActiveWatch();
      const second = cluster.startWatch();
      await until("the second waits", () => second.printed().includes("watches the cluster: this one waits"), 30_000);
      await killAndWait(await cluster.pidOf("m3"));
      await until(`${kind} begins`, () => journal().includes(`"kind":"${kind}"`), 60_000);
      kill(first.pid, "SIGKILL");
      await until("m3 is replaced", async () => (await cluster.isWhole()) && (await cluster.planCode()) === 0, 60_000);
      expect(await peerHostOf("m3")).not.toBe(before);
      const used = new Set(cluster.events("repair", member("m3")).map(({ spare }) => spare));
      expect(used.size).toBe(1);
    },
  );

  it("is finished by haplan apply when the watcher is killed and none follows", async () => {
    cluster.writeAudit();
    await cluster.mustRun("apply", "-auto-approve");
    const before = await peerHostOf("m1");
    const watcher = await cluster.startActiveWatch();
    await killAndWait(await cluster.pidOf("m1"));
    await until("the new member is added", () => journal().includes('"kind":"addLearner"'), 60_000);
    // Its lock is free once it is gone.
    await killAndWait(watcher.pid);
    await cluster.mustRun("apply", "-auto-approve");
    expect(await cluster.isWhole()).toBe(true);
    expect(await peerHostOf("m1")).not.toBe(before);
    expect(await cluster.planCode()).toBe(0);
  });

  it("goes on to another spare host when the agent does not start on the first, and leaves nothing there", async () => {
    // Masters may be on all others.
    const more = [25, 26].map((host, at) => `{ name: s${at + 5}, address: ${addressOf(network, host)} }`);
    cluster.writeSpec(specWith(9, [...spares, ...more]));
    cluster.writeAudit();
    await cluster.mustRun("apply", "-auto-approve");
    const hosts = await Promise.all(["m1", "m2", "m3"].map(peerHostOf));
    const [free, other] = [21, 22, 23, 24, 25, 26]
      .map((host) => addressOf(network, host))
      .filter((at) => !hosts.includes(at));
    const taken = await takeUnnoticed(free!, 2380);
    try {
      await cluster.startActiveWatch();
      await killAndWait(await cluster.pidOf("m3"));
      await until("m3 is replaced", () => cluster.events("repaired", member("m3")).length > 0, 90_000);
      expect(cluster.events("repair", member("m3"))).toHaveLength(3);
      expect(cluster.events("failed", member("m3"))).toHaveLength(2);
      expect(cluster.events("failed", member("m3"))[0]?.message).toContain("address already in use");
      expect(await peerHostOf("m3")).toBe(other);
      expect(await cluster.isWhole()).toBe(true);
      expect(await cluster.planCode()).toBe(0);
      expect(
        readdirSync(join(cluster.directory, ".haplan/e2e/machines")).filter((name) => /^m3/.test(name)),
      ).toHaveLength(1);
    } finally {
      await killAndWait(taken);
    }
  });

  it("only reports while there is no quorum", async () => {
    cluster.writeAudit();
    for (const name of ["m1", "m3"]) await killAndWait(await cluster.pidOf(name));
    const watcher = cluster.startWatch();
    await until("it says so", () => watcher.printed().includes("the quorum is at stake: not repaired"), 30_000);
    await sleep(afterMs + 2_000);
    expect(cluster.events("repair")).toEqual([]);
  });
});
