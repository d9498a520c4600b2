/** `haplan watch` on real processes: what it repairs, what it only reports, two of it, and one that is killed. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ClusterFixture, kill, killAndWait, specText, until } from "./cluster-fixture.ts";
import type { RunningProgram } from "./run-program.ts";

const timeout = 90_000;
const network = 43;
const policy =
  "{ restart: true, renewCertificates: true, waitMs: 500, repairsPerHour: 3, notify: { command: [sh, notify.sh] } }";
const spec = `${specText({ network })}  repair: ${policy}\n`;

let cluster: ClusterFixture;
const watchers: RunningProgram[] = [];

type Audit = { readonly event: string; readonly address?: string; readonly pid: number; readonly waits?: string };

function audit(): readonly Audit[] {
  const text = readFileSync(join(cluster.directory, ".haplan/e2e/watch.jsonl"), "utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

function repairsOf(name: string): number {
  return audit().filter(({ event, address }) => event === "repair" && address === `haplan_agent.${name}`).length;
}

function startWatch(): RunningProgram {
  const watcher = cluster.start(["watch", "-interval=500ms"], { timeoutMs: 300_000 });
  watchers.push(watcher);
  return watcher;
}

async function pidOf(name: string): Promise<number> {
  const { members } = await cluster.status();
  return members.find((member) => member.name === name && member.healthy)!.pid!;
}

function isWhole(): Promise<boolean> {
  return cluster.status().then(({ members }) => members.length === 3 && members.every(({ healthy }) => healthy));
}

/** Clears what the tests before have left of repairs. */
function forgetRepairs(): void {
  writeFileSync(join(cluster.directory, ".haplan/e2e/watch.jsonl"), "");
}

describe("haplan watch", { timeout }, () => {
  beforeAll(async () => {
    cluster = new ClusterFixture(spec);
    writeFileSync(join(cluster.directory, "notify.sh"), "cat >> notified; echo >> notified\n");
    // Certificates are valid for a year, and due 90 days before their end.
    await cluster.applyAt(Date.now() - 300 * 86_400_000);
  }, timeout);
  afterEach(async () => {
    for (const watcher of watchers.splice(0)) {
      watcher.signal("SIGINT");
      await watcher.end;
    }
  });
  afterAll(() => cluster?.teardown(), timeout);

  it("renews certificates that are due, one plan at a time, and restarts no member for it", async () => {
    const before = (await cluster.status()).members.map(({ pid }) => pid);
    const watcher = startWatch();
    const isRenewed = async (): Promise<boolean> => (await cluster.haplan(["plan", "-detailed-exitcode"])).code === 0;
    await until(
      "the last one is renewed",
      () => watcher.printed().includes("haplan_certificate.admin is repaired"),
      60_000,
    );
    expect(await isRenewed()).toBe(true);
    expect((await cluster.status()).members.map(({ pid }) => pid)).toEqual(before);
    const acts = audit().filter(({ event }) => event === "repair" || event === "repaired");
    expect(acts.map(({ event }) => event).join()).toMatch(/^repair,repaired(,repair,repaired)*$/);
  });

  it("starts killed agents again; a second watcher waits, and takes over from one that is killed in the middle", async () => {
    forgetRepairs();
    const first = startWatch();
    await until("the first is active", () => first.printed().includes("this watcher repairs the cluster"), 30_000);
    const second = startWatch();
    await until("the second waits", () => second.printed().includes("watches the cluster: this one waits"), 30_000);
    await killAndWait(await pidOf("m1"));
    await until("a repair has begun", () => repairsOf("m1") === 1, 30_000);
    kill(first.pid, "SIGKILL");
    expect(audit().filter(({ event }) => event === "repair")).toMatchObject([{ pid: first.pid }]);
    await until("the second is active", () => second.printed().includes("this watcher repairs the cluster"), 30_000);
    await until("m1 is back", isWhole, 30_000);
    await killAndWait(await pidOf("m2"));
    await until("m2 is repaired", () => second.printed().includes("haplan_agent.m2 is repaired"), 30_000);
    expect(audit().findLast(({ event }) => event === "repair")).toMatchObject({ pid: second.pid });
    expect(await isWhole()).toBe(true);
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
    const told = (): object[] =>
      readFileSync(join(cluster.directory, "notified"), "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    await until("that is told", () =>
      told().some((each) => JSON.stringify(each).includes("haplan_agent.m2 is repaired")),
    );
    expect(told()).toContainEqual(
      expect.objectContaining({ cluster: "e2e", event: "repaired", address: "haplan_agent.m2" }),
    );
  });

  it("leaves an agent alone that does not stay repaired, and remembers that when it starts again", async () => {
    const now = new Date().toISOString();
    const repaired = { time: now, pid: 1, event: "repair", message: "", address: "haplan_agent.m1" };
    writeFileSync(join(cluster.directory, ".haplan/e2e/watch.jsonl"), `${JSON.stringify(repaired)}\n`.repeat(3));
    const watcher = startWatch();
    await until("it is active", () => watcher.printed().includes("this watcher repairs the cluster"), 30_000);
    await killAndWait(await pidOf("m1"));
    await until("it says so", () => watcher.printed().includes("repaired too often within an hour"), 30_000);
    expect(repairsOf("m1")).toBe(3);
  });

  it("only reports while there is no quorum", async () => {
    forgetRepairs();
    await killAndWait(await pidOf("m2"));
    const watcher = startWatch();
    await until("it says so", () => watcher.printed().includes("the quorum is at stake: not repaired"), 30_000);
    expect(audit().filter(({ event }) => event === "repair")).toEqual([]);
  });
});
