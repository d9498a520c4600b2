/**
 * An apply that is killed or interrupted on its way, and gone on with; without TLS, which etcdctl then meets as well.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { addressOf, ClusterFixture, until } from "./cluster-fixture.ts";
import { boundAddresses } from "./dir-processes.ts";
import { settledHashes } from "./member-facts.ts";
import { isInstalled } from "./run-program.ts";

const network = 23;
const hasEtcdctl = isInstalled("etcdctl", "version");
const cluster = new ClusterFixture({ network, workers: 1, tls: false });
const urls = [1, 2, 3].map((host) => `http://${addressOf(network, host)}:2379`);

afterAll(() => cluster.teardown());

async function expectWholeCluster(): Promise<void> {
  expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  const status = await until("the worker reports", async () => {
    const found = await cluster.status();
    return found.workers.every(({ reporting }) => reporting) ? found : false;
  });
  expect(status.members.map(({ healthy }) => healthy)).toEqual([true, true, true]);
  // One process for each unit: whatever a killed run had started was found and adopted.
  expect(cluster.processes()).toHaveLength(3 + 1 + 1);
}

describe("apply killed with SIGKILL", () => {
  /** What the runs say just before they are killed; each goes on where the one before was cut off. */
  const moments = [
    /start agent m1 \.\.\./,
    // Which of the agents is still to be started depends on how far the killed run had come.
    /start agent m\d: (done|already exists)/,
    /start load balancer \.\.\./,
    /start worker w1 \.\.\./,
  ];

  it("again and again on its way is gone on with until the cluster is whole", async () => {
    for (const moment of moments) {
      const run = cluster.start(["apply", "-auto-approve"]);
      let isOver = false;
      void run.end.finally(() => (isOver = true));
      await until(`apply says "${moment}"`, () => isOver || moment.test(run.printed()));
      run.signal("SIGKILL");
      const { signal, stdout, stderr } = await run.end;
      expect({ moment, signal, said: signal === "SIGKILL" ? "" : stdout + stderr }).toEqual({
        moment,
        signal: "SIGKILL",
        said: "",
      });
    }
    expect(await cluster.apply()).toContain("Apply complete!");
    await expectWholeCluster();
  }, 60_000);
});

describe("a cluster without TLS", () => {
  it.skipIf(!hasEtcdctl)(
    `serves etcdctl through each master and the load balancer${hasEtcdctl ? "" : " (skipped: etcdctl is not installed)"}`,
    async () => {
      expect(await cluster.output("env")).toContain("unset ETCDCTL_CACERT");
      for (const endpoints of [...urls, `http://${addressOf(network, 100)}:2379`]) {
        expect(await cluster.etcdctl(["put", "door", endpoints], { endpoints })).toMatchObject({ stdout: "OK\n" });
        expect(await cluster.etcdctl(["get", "door"], { endpoints })).toMatchObject({ stdout: `door\n${endpoints}\n` });
      }
      const status = await cluster.etcdctl(["endpoint", "status", "--cluster", "-w", "table"]);
      for (const url of urls) expect(status.stdout).toContain(`| ${url} |`);
    },
  );

  it("keeps the same store on every member", async () => {
    await cluster.client(urls[0]!).put("last", "word");
    const { hashes } = await settledHashes(urls.map((url) => cluster.client(url)));
    expect(new Set(hashes).size).toBe(1);
  });
});

/** How many of the lock files say that the lock is held. */
function heldLocks(): number {
  const lock = join(cluster.directory, ".haplan/e2e/lock");
  const held = readdirSync(lock).filter((name) => readFileSync(join(lock, name), "utf8").includes('"released":false'));
  return held.length;
}

describe("destroy and apply that are asked to stop", () => {
  it("R1 R8 T15: stop after what is under way, say so, give the lock back, and are gone on with", async () => {
    const destroy = cluster.start(["destroy", "-auto-approve"]);
    await until("destroy is under way", () => destroy.printed().includes("] stop "));
    // As when an ssh session is lost: the kernel and the shell both tell of it.
    destroy.signal("SIGHUP");
    destroy.signal("SIGHUP");
    const destroyed = await destroy.end;
    expect(destroyed.stderr).toContain("Stopping after the running steps");
    // It may have been done with everything by then.
    if (destroyed.code !== 0) {
      expect(destroyed).toMatchObject({ code: 1, signal: null });
      expect(destroyed.stderr).toMatch(/Interrupted: the terminal was closed[\s\S]*haplan destroy -auto-approve/);
      expect(heldLocks()).toBe(0);
      await cluster.mustRun("destroy", "-auto-approve");
    }
    expect(cluster.processes()).toEqual([]);
    expect(boundAddresses(`127.77.${network}.`)).toEqual([]);

    // The reader has seen enough, as head -1 has.
    const apply = cluster.start(["apply", "-auto-approve"], { closeOutputAt: "start agent m1 ..." });
    const applied = await apply.end;
    expect(applied).toMatchObject({ code: 1, signal: null });
    expect(applied.stderr).toMatch(/Standard output cannot be written \(EPIPE\)[\s\S]*haplan apply -auto-approve/);
    expect(heldLocks()).toBe(0);
    const state = JSON.parse(readFileSync(join(cluster.directory, ".haplan/e2e/state.json"), "utf8")) as object;
    expect(state).toHaveProperty("serial");
    await cluster.apply();
    await expectWholeCluster();
  }, 60_000);

  it("T5: -replace restarts a worker, the load balancer and an agent on purpose, and refuses what is not there", async () => {
    const before = await cluster.status();
    const unknown = await cluster.haplan(["apply", "-auto-approve", "-replace=haplan_worker.w9"]);
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("  haplan_worker.w1\n") });
    const wanted = ["haplan_worker.w1", "haplan_load_balancer.load-balancer", "haplan_agent.m2"];
    await cluster.mustRun("apply", "-auto-approve", ...wanted.map((address) => `-replace=${address}`));
    const after = await cluster.status();
    const pids = ({ members, workers, loadBalancer }: typeof before): readonly (number | null | undefined)[] => [
      workers[0]?.pid,
      loadBalancer?.pid,
      ...members.map(({ pid }) => pid),
    ];
    const restarted = pids(after).map((pid, index) => pid !== pids(before)[index]);
    expect(restarted).toEqual([true, true, ...before.members.map(({ name }) => name === "m2")]);
    expect(after.members.map(({ id }) => id)).toEqual(before.members.map(({ id }) => id));
    await expectWholeCluster();
  }, 60_000);

  it("T9: a cluster whose directory is gone is not recreated, and one of another directory is named", async () => {
    const before = cluster.processes();
    const directory = join(cluster.directory, ".haplan/e2e");
    renameSync(directory, `${cluster.directory}/aside`);
    const refused = await cluster.haplan(["apply", "-auto-approve"]);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('The cluster "e2e" is running, but its state'),
    });
    expect(refused.stderr).toMatch(/ m1: agent \(pid \d+\)[\s\S]*\n│ {5}haplan destroy\n/);
    // The refused apply has left nothing behind.
    expect(readdirSync(cluster.directory).toSorted()).toEqual(["aside", "cluster.yaml"]);
    mkdirSync(join(cluster.directory, ".haplan"), { mode: 0o700 });
    renameSync(`${cluster.directory}/aside`, directory);

    const elsewhere = new ClusterFixture({ network, workers: 1, tls: false });
    const taken = await elsewhere.haplan(["apply", "-auto-approve"]);
    expect(taken.stderr).toMatch(/\d addresses are in use by the cluster "e2e"/);
    expect(taken.stderr).toContain(`:2379 by the agent of "m1" in the cluster "e2e", pid `);
    expect(taken.stderr.replace(/\n│ /g, " ")).toContain(`haplan applied that cluster in ${cluster.directory}.`);
    await elsewhere.teardown();
    expect(cluster.processes()).toEqual(before);
    await expectWholeCluster();
  });

  it("T17 R6 T9: destroy works from the state alone when the spec is broken, and stops what has lost its directory", async () => {
    rmSync(join(cluster.directory, ".haplan/e2e/machines/m2"), { recursive: true });
    cluster.writeSpec("kind: Cluster\nmetadata:\n  name: e2e\n\tspec: {}\n");
    const refused = await cluster.haplan(["destroy", "-auto-approve"]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("    haplan destroy -state-only=e2e\n") });
    await cluster.mustRun("destroy", "-state-only=e2e", "-auto-approve");
    expect(cluster.processes()).toEqual([]);
    expect(existsSync(join(cluster.directory, ".haplan"))).toBe(false);
    cluster.writeSpec({ network, workers: 1, tls: false });
  });

  it("leave nothing behind once destroyed", async () => {
    const { destroy, left } = await cluster.teardown();
    expect({ code: destroy.code, left }).toEqual({ code: 0, left: [] });
    expect(boundAddresses(`127.77.${network}.`)).toEqual([]);
    expect(existsSync(cluster.directory)).toBe(false);
  });
});
