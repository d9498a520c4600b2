/**
 * Two applies at once, as processes: one works, the other says who does, or waits. With HAPLAN_TEST_EVERYTHING also a
 * killed holder, which blocks no run: in this directory at once, in etcd once its lease has run out.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { type EtcdFixture, etcdInstalled, startEtcd } from "../support/etcd-process.ts";
import { ClusterFixture, specText, until } from "./cluster-fixture.ts";
import type { RunningProgram } from "./run-program.ts";

const network = 29;
const everything = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;
const spec = specText({ network, tls: false });

let cluster: ClusterFixture;
let holder: RunningProgram | null = null;
afterEach(async () => {
  holder?.signal("SIGKILL");
  await holder?.end;
  holder = null;
  await cluster.teardown();
});

/** An apply that stands still with the lock in its hands. */
async function holdStill(hasLock: () => Promise<boolean> | boolean): Promise<RunningProgram> {
  holder = cluster.start(["apply", "-auto-approve"]);
  await until("the first apply has the lock", hasLock);
  holder.signal("SIGSTOP");
  return holder;
}

function localLockIsHeld(): boolean {
  const directory = join(cluster.directory, ".haplan/e2e/lock");
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".json")) : [];
  return names.some((name) => readFileSync(join(directory, name), "utf8").includes('"released":false'));
}

async function expectSecondToBeTold(first: RunningProgram): Promise<void> {
  const refused = await cluster.start(["apply", "-auto-approve"]).end;
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("The state is locked by another run of haplan");
  expect(refused.stderr).toMatch(
    new RegExp(`pid ${first.pid}[\\s\\S]*Operation: +apply[\\s\\S]*haplan force-unlock [-\\w]+`),
  );
}

async function expectWhole(): Promise<void> {
  expect((await cluster.start(["plan", "-detailed-exitcode"]).end).code).toBe(0);
  expect(cluster.processes()).toHaveLength(3 + 1);
}

describe("of two applies at once, with the state in this directory,", () => {
  it("the second says who is at work, or waits, and the cluster is made once", async () => {
    cluster = new ClusterFixture(spec);
    const first = await holdStill(localLockIsHeld);
    await expectSecondToBeTold(first);
    const waiting = cluster.start(["apply", "-auto-approve", "-lock-timeout=60s"]);
    first.signal("SIGCONT");
    expect(await first.end).toMatchObject({ code: 0, stdout: expect.stringContaining("Apply complete!") });
    expect(await waiting.end).toMatchObject({ code: 0, stdout: expect.stringContaining("No changes.") });
    await expectWhole();
  }, 60_000);

  if (everything) {
    it("one that was killed does not keep the next one waiting", async () => {
      cluster = new ClusterFixture(spec);
      const first = await holdStill(localLockIsHeld);
      first.signal("SIGKILL");
      await first.end;
      expect((await cluster.start(["apply", "-auto-approve"]).end).code).toBe(0);
      await expectWhole();
    }, 60_000);
  }
});

if (everything) {
  describe.skipIf(!etcdInstalled)("of two applies at once, with the state in etcd,", () => {
    let etcd: EtcdFixture;
    let client: EtcdClient;
    beforeAll(async () => {
      etcd = await startEtcd("127.77.29.90");
      client = new EtcdClient(connect({ endpoints: [etcd.url] }));
    });
    afterAll(async () => {
      await client.grpc.close();
      await etcd.stop();
    });
    const lockIsHeld = async (): Promise<boolean> => (await client.range("/haplan/state/e2e/lock")).kvs.length > 0;

    it("the second says who is at work, and has its turn once the lease of one that was killed runs out", async () => {
      const state = `  state: { backend: etcd, etcd: { endpoints: ["${etcd.url}"] } }\n`;
      cluster = new ClusterFixture(spec.replace("spec:\n", `spec:\n${state}`));
      const first = await holdStill(lockIsHeld);
      await expectSecondToBeTold(first);
      // The lease lasts for 30 s.
      first.signal("SIGKILL");
      const waiting = cluster.start(["apply", "-auto-approve", "-lock-timeout=60s"], { timeoutMs: 90_000 });
      expect((await waiting.end).code).toBe(0);
      await expectWhole();
    }, 120_000);
  });
}
