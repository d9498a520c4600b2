/** Rolling upgrades of haplan on hosts while a client writes: to another version and back, and to versions that do not work. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ArtifactCache } from "../../src/providers/ssh/artifact-cache.ts";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import type { ProgramRun } from "../e2e/run-program.ts";
import { type Defect, doctorArtifact } from "../support/doctored-artifact.ts";
import { runsByHand } from "./by-hand.ts";
import { ClusterOnHosts, type HostsSpec } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";

/** Three, or five in one part of CI. */
const members = Number(process.env["HAPLAN_TEST_MASTERS"] ?? 3);
const allDefects = [
  ["crashes after 5 s", "crashesAfter5s", "0.9.3"],
  ["does not start", "doesNotStart", "0.9.2"],
  ["is never ready", "isNeverReady", "0.9.4"],
] as const;
/** CI has the time for one of them, in turn. */
const turn = Number(process.env["HAPLAN_TEST_DEFECT"] ?? 0);
const defects = runsByHand ? allDefects : [allDefects[turn % allDefects.length]!];
/** An artifact of an earlier commit, if there is one. */
const earlier = [process.env["HAPLAN_TEST_EARLIER_ARTIFACT"] ?? ""].filter((file) => existsSync(file));
const writesPerSecond = 200;
const gapMaxMs = 1_000;

describeHosts("upgrades on hosts", () => {
  let directory: string;
  let set: HostSet;
  let cluster: ClusterOnHosts;
  /** The artifact of this commit. */
  let own: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "haplan-upgrade-"));
    set = await bringUp(members + 1, "complete");
    own = await new ArtifactCache(new AbortController().signal).get(process.arch as "x64" | "arm64");
    cluster = new ClusterOnHosts(set, specWith(own));
    await cluster.run("apply", "-auto-approve");
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
    await rm(directory, { recursive: true, force: true });
  }, 180_000);

  const masters = (): readonly TestHost[] => set.hosts.slice(0, members);
  const balancer = (): TestHost => set.hosts[members]!;

  function specWith(artifact: string, more: Partial<HostsSpec> = {}): HostsSpec {
    return {
      name: "upgrade",
      engine: "agent",
      masters: masters().map((host, at) => [`m${at + 1}`, host] as const),
      balancer: balancer(),
      // A restart of the embedded one would close the writer's connections: what is measured are the members.
      balancerType: "haproxy",
      provider: `, artifact: { file: ${artifact} }`,
      policy: "{ joinTimeoutMs: 20000 }",
      ...more,
    };
  }

  const doctor = (version: string, defect: Defect): Promise<string> =>
    doctorArtifact({ from: own, version, defect, directory });

  /** Applies while a client writes through the load balancer; nothing that was acknowledged is missing afterwards. */
  async function applyUnderWriter(what: string): Promise<{ readonly run: ProgramRun; readonly writer: PacedWriter }> {
    const client = cluster.client(`https://${balancer().ipv4}:2379`);
    const writer = new PacedWriter(client, `/${what.replaceAll(" ", "-")}/`, writesPerSecond);
    const run = await cluster.try("apply", "-auto-approve");
    await writer.stop();
    console.log(`${what}: ${writer.summary()}`);
    expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    return { run, writer };
  }

  /** The artifact whose programs the units of a host run, from their processes. */
  const running = async (host: TestHost): Promise<string> =>
    await cluster.on(
      host,
      'for p in $(systemctl show --value -p MainPID "haplan-upgrade-*.service"); do readlink /proc/$p/exe; done',
    );

  async function upgraded(what: string, artifact: string): Promise<void> {
    const before = await Promise.all(set.hosts.map(running));
    cluster.write(specWith(artifact));
    const { run, writer } = await applyUnderWriter(what);
    expect(run).toMatchObject({ code: 0 });
    expect(writer.failures).toEqual([]);
    expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    const after = await Promise.all(set.hosts.map(running));
    for (const at of masters().keys()) expect(after[at]).not.toBe(before[at]);
    expect(new Set(after.slice(0, members)).size).toBe(1);
  }

  // An earlier commit is another version as well.
  if (runsByHand || earlier.length === 0)
    it("go to another version and back without a failed write", async () => {
      const next = await doctor("0.9.1", "works");
      cluster.write(specWith(next));
      const plan = await cluster.try("plan");
      expect(plan.stdout).toMatch(/artifact += "[^"]+"\s+-> "0\.9\.1 \(sha256:[0-9a-f]{12}\)"/);
      await upgraded("forward", next);
      await upgraded("back", own);
    }, 600_000);

  it.each(earlier)(
    "go back to an earlier commit and come from it without a failed write: %s",
    async (artifact) => {
      await upgraded("to the earlier commit", artifact);
      await upgraded("from the earlier commit", own);
    },
    600_000,
  );

  const restored = async (): Promise<readonly string[]> => {
    // Whatever the tests before have left.
    cluster.write(specWith(own));
    await cluster.run("apply", "-auto-approve");
    return await Promise.all(set.hosts.map(running));
  };

  async function undone(what: string, defect: Defect, version: string, before: readonly string[]): Promise<string> {
    cluster.write(specWith(await doctor(version, defect)));
    const { run, writer } = await applyUnderWriter(what);
    console.log(run.stderr);
    expect(run.code).toBe(1);
    expect(writer.failures).toEqual([]);
    expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
    expect(await Promise.all(set.hosts.map(running))).toEqual(before);
    expect((await cluster.try("status")).stdout).toContain(`${members} of ${members} voters healthy`);
    // What is left is a change again; with the version that runs, there is none.
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(2);
    cluster.write(specWith(own));
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    return run.stderr;
  }

  it.each(defects)(
    "stop at the first member and are undone when the version %s",
    async (what, defect, version) => {
      const said = await undone(what, defect, version, await restored());
      expect(said).toMatch(new RegExp(`agent m\\d does not work with haplan ${version.replaceAll(".", "[.]")} `));
    },
    600_000,
  );

  it("begin no step while a host has no space for the programs", async () => {
    const before = await restored();
    const full = masters()[2]!;
    // With what is there, and 16 MiB more.
    await cluster.on(
      full,
      `mkdir /mnt/few; mount -t tmpfs -o mode=755,size=$(( $(du -sk /opt/haplan | cut -f 1) + 16384 ))k none /mnt/few
      cp -a /opt/haplan/. /mnt/few; mount --bind /mnt/few /opt/haplan; umount /mnt/few; rmdir /mnt/few`,
    );
    const next = await doctor("0.9.6", "works");
    cluster.write(specWith(next));
    const { run, writer } = await applyUnderWriter("a host without space");
    await cluster.on(full, "umount /opt/haplan");
    expect(run).toMatchObject({ code: 1, stderr: expect.stringMatching(/MiB are free[\s\S]*No step was begun/) });
    expect(run.stdout).not.toMatch(/^\[1\/\d+\]/m);
    expect(writer.failures).toEqual([]);
    expect(await Promise.all(set.hosts.map(running))).toEqual(before);
    await cluster.run("apply", "-auto-approve");
    expect(await Promise.all(set.hosts.map(running))).not.toEqual(before);
  }, 600_000);

  it("stop at a member that was down, and give it its former version back, when the version crashes after 5 s", async () => {
    const before = await restored();
    await cluster.on(masters()[1]!, "systemctl stop haplan-upgrade-m2-agent");
    const said = await undone("a member that was down", "crashesAfter5s", "0.9.5", before);
    expect(said).toContain("agent m2 does not work with haplan 0.9.5 ");
  }, 600_000);
});
