/** `haplan watch` on real processes: what it restarts and renews, what it only reports, two of it, and one that is killed. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { kill, killAndWait, specText, until } from "./cluster-fixture.ts";
import { auditOf } from "./watch-audit.ts";
import { WatchedCluster } from "./watched-cluster.ts";

const timeout = 90_000;
const policy =
  "{ restart: true, renewCertificates: true, waitMs: 500, repairsPerHour: 3, notify: { command: [sh, notify.sh] } }";
const specOn = (network: number): string => `${specText({ network })}  repair: ${policy}\n`;

let cluster: WatchedCluster;

/** Certificates are valid for a year, and due 90 days before their end. */
async function openWithDueCertificates(network: number): Promise<void> {
  cluster = new WatchedCluster(specOn(network));
  writeFileSync(join(cluster.directory, "notify.sh"), "cat >> notified; echo >> notified\n");
  await cluster.applyAt(Date.now() - 300 * 86_400_000);
}

describe("haplan watch", { timeout }, () => {
  beforeAll(() => openWithDueCertificates(43), timeout);
  afterEach(() => cluster.stopWatchers());
  afterAll(() => cluster?.teardown(), timeout);

  it("renews certificates that are due, one plan at a time, and restarts no member for it", async () => {
    const before = (await cluster.status()).members.map(({ pid }) => pid);
    const watcher = cluster.startWatch();
    await until(
      "the last one is renewed",
      () => watcher.printed().includes("haplan_certificate.admin is repaired"),
      60_000,
    );
    expect(await cluster.planCode()).toBe(0);
    expect((await cluster.status()).members.map(({ pid }) => pid)).toEqual(before);
    const acts = auditOf(cluster).filter(({ event }) => event === "repair" || event === "repaired");
    expect(acts.map(({ event }) => event).join()).toMatch(/^repair,repaired(,repair,repaired)*$/);
  });

  it("starts killed agents again; a second watcher waits, and takes over from one that is killed in the middle", async () => {
    cluster.writeAudit();
    const first = await cluster.startActiveWatch();
    const second = cluster.startWatch();
    await until("the second waits", () => second.printed().includes("watches the cluster: this one waits"), 30_000);
    await killAndWait(await cluster.pidOf("m1"));
    await until("a repair has begun", () => cluster.events("repair", "haplan_agent.m1").length === 1, 30_000);
    kill(first.pid, "SIGKILL");
    expect(cluster.events("repair")).toMatchObject([{ pid: first.pid }]);
    await until("the second is active", () => second.printed().includes("this watcher repairs the cluster"), 30_000);
    await until("m1 is back", () => cluster.isWhole(), 30_000);
    await killAndWait(await cluster.pidOf("m2"));
    await until("m2 is repaired", () => second.printed().includes("haplan_agent.m2 is repaired"), 30_000);
    expect(cluster.events("repair").at(-1)).toMatchObject({ pid: second.pid });
    expect(await cluster.isWhole()).toBe(true);
    expect(await cluster.planCode()).toBe(0);
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
    const time = new Date().toISOString();
    const repaired = { time, pid: 1, event: "repair", message: "", address: "haplan_agent.m1" };
    cluster.writeAudit([repaired, repaired, repaired]);
    const watcher = await cluster.startActiveWatch();
    await killAndWait(await cluster.pidOf("m1"));
    await until("it says so", () => watcher.printed().includes("repaired too often within an hour"), 30_000);
    expect(cluster.events("repair", "haplan_agent.m1")).toHaveLength(3);
  });

  it("only reports while there is no quorum", async () => {
    cluster.writeAudit();
    await killAndWait(await cluster.pidOf("m2"));
    const watcher = cluster.startWatch();
    await until("it says so", () => watcher.printed().includes("the quorum is at stake: not repaired"), 30_000);
    expect(cluster.events("repair")).toEqual([]);
  });
});

describe("haplan watch during a renewal", { timeout: 4 * timeout }, () => {
  beforeAll(() => openWithDueCertificates(45), timeout);
  afterEach(() => cluster.stopWatchers());
  afterAll(() => cluster?.teardown(), timeout);

  it("stops it when a master dies, brings the master back, and then hands out what was issued", async () => {
    const watcher = cluster.startWatch();
    const begun = await until(
      "the certificate of a master is renewed",
      () => cluster.events("repair").find(({ address }) => /^haplan_certificate\.m\d$/.test(address ?? "")) ?? false,
      60_000,
    );
    const name = begun.address!.split(".")[1]!;
    // It accepts connections and answers nothing: its certificate cannot be reloaded.
    const { members } = await cluster.status();
    kill(members.find((member) => member.name === name)!.pid!, "SIGSTOP");
    // Each look, and the step itself, asks the member and its host, which takes seconds for one that says nothing.
    await until("it is repaired", () => watcher.printed().includes(`haplan_agent.${name} is repaired`), 150_000);
    const failed = cluster.events("failed", begun.address);
    expect(failed).toMatchObject([{ code: "apply/interrupted" }]);
    expect(failed[0]?.message).toContain(`Interrupted: ${name} does not answer`);
    await until("nothing is left", async () => (await cluster.isWhole()) && (await cluster.planCode()) === 0, 60_000);
    expect(cluster.events("repair").filter(({ address }) => address === `haplan_agent.${name}`)).toHaveLength(1);
  });
});
