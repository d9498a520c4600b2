/**
 * Three members of a real etcd, with TLS, users and leases, are replaced by haplan's agents and come back, while clients write
 * and watch through the load balancer. HAPLAN_TEST_SOAK: 100,000 keys, and no client waits for a second. What happens when haplan
 * is killed meanwhile is in migrate-killed.long.test.ts.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClusterEnd } from "../../src/migrate/cluster-end.ts";
import { type AcknowledgedWrite, AcknowledgingWriter, missingWrites } from "./acknowledged-writes.ts";
import { until } from "./cluster-fixture.ts";
import { ClusterToMigrate, hasEtcd, hasHaproxy, password } from "./cluster-to-migrate.ts";
import { EventRecorder } from "./event-recorder.ts";

const isSoak = process.env["HAPLAN_TEST_SOAK"] !== undefined;

const hasPrograms = hasEtcd && hasHaproxy;

describe.skipIf(!hasPrograms).each([
  { balancer: "embedded", network: 97 },
  { balancer: "haproxy", network: 96 },
] as const)(
  `from etcd to the agent and back, load balancer $balancer${hasPrograms ? "" : " (skipped: etcd or haproxy is not installed)"}`,
  ({ balancer, network }) => {
    const moved = new ClusterToMigrate({ network, balancer, keys: isSoak ? 100_000 : 2_000 });
    const balancerUnits = join(moved.cluster.directory, ".haplan/moved/machines/load-balancer/units");
    const all: AcknowledgedWrite[] = [];
    let old: ClusterEnd;

    afterAll(() => moved.stop());
    beforeAll(async () => {
      old = await moved.start();
    }, 120_000);

    /** Four clients that write fifty times a second each, one that watches them, and one that renews a short lease. */
    async function whileInUse(name: string, work: () => Promise<string>): Promise<{ said: string; gapMs: number }> {
      const prefix = `/${name}/`;
      const open = (): ClusterEnd => moved.open([moved.endpoint]);
      const recorder = new EventRecorder(open().client, prefix);
      const writers = [1, 2, 3, 4].map((n) => new AcknowledgingWriter(open().client, `${prefix}${n}/`, 17));
      const renewing = open().client;
      const renewal = setInterval(() => void renewing.leaseKeepAlive(1n).catch(() => undefined), 1_000);
      let said: string;
      try {
        await until("writes are acknowledged", () => writers.every(({ acknowledged }) => acknowledged.length > 5));
        said = await work();
        await new Promise((resolve) => setTimeout(resolve, 500));
      } finally {
        clearInterval(renewal);
        await Promise.all(writers.map((writer) => writer.stop()));
      }
      const written = writers.flatMap(({ acknowledged }) => acknowledged);
      await until("the watcher has seen everything", () => recorder.seen.length >= written.length).catch(
        () => undefined,
      );
      await recorder.stop();
      const events = recorder.seen.map(({ revision, key }) => `${revision} ${key}`);
      expect(new Set(events).size).toBe(events.length);
      expect(events.toSorted()).toEqual(
        expect.arrayContaining(written.map(({ revision, key }) => `${revision} ${key}`)),
      );
      expect(recorder.seen.map(({ revision }) => revision)).toEqual(
        recorder.seen.map(({ revision }) => revision).toSorted((a, b) => a - b),
      );
      // On a machine that is busy with other things, an answer may be so late that the connection looks idle.
      const failures = writers.flatMap((writer) => writer.failures.map(({ error }) => String(error)));
      expect(failures.filter((text) => !text.includes("the connection was lost"))).toEqual([]);
      expect(failures.length).toBeLessThanOrEqual(isSoak ? 0 : writers.length);
      all.push(...written);
      const gapMs = Math.max(
        ...writers.map(({ acknowledged }) =>
          Math.max(...acknowledged.slice(1).map(({ atMs }, i) => atMs - acknowledged[i]!.atMs)),
        ),
      );
      console.log(
        `${name}: ${written.length} writes, longest gap ${Math.round(gapMs)} ms\n${said
          .split("\n")
          .filter((line) => /^(Switched|Clients|Both|Copying)/.test(line))
          .join("\n")}`,
      );
      return { said, gapMs };
    }

    async function checkAt(end: ClusterEnd): Promise<void> {
      for (const endpointOf of end.endpoints) {
        const member = moved.open([endpointOf]);
        await until(
          "the member has everything",
          async () => (await missingWrites(member.client, "/", all)).length === 0,
        );
      }
      await moved.checkData(end);
    }

    it("14/4: moves clients with their data, without a failed write, and back again", async () => {
      // The load balancer exists before its clients do: they come from elsewhere.
      await moved.mustRun("migrate", "-auto-approve");
      await moved.mustRun("migrate", "-rollback", "-auto-approve");
      const there = await whileInUse("there", () => moved.mustRun("migrate", "-auto-approve"));
      expect(there.said).toContain("their hashes are equal");
      await checkAt(moved.open(moved.newUrls));
      await expect(old.client.put("/late", "x")).rejects.toThrow("corrupt cluster");
      const reader = moved.open(moved.newUrls, { name: "reader", password });
      expect((await reader.client.range("/data/7")).kvs).toHaveLength(1);
      await expect(reader.client.put("/data/7", "no")).rejects.toThrow("permission denied");
      const refused = await moved.cluster.haplan(["apply", "-auto-approve"], { env: moved.asRoot });
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("The migration is not complete")]);
      const back = await whileInUse("back", () => moved.mustRun("migrate", "-rollback", "-auto-approve"));
      expect(back.said).toContain("their hashes are equal");
      await checkAt(old);
      // From HAProxy's relay to HAProxy alone.
      await moved.mustRun("migrate", "-auto-approve");
      await whileInUse("the-end", () => moved.mustRun("migrate", "-finish", "-auto-approve"));
      await checkAt(moved.open(moved.newUrls));
      const settled = await moved.cluster.haplan(["plan", "-detailed-exitcode"], { env: moved.asRoot });
      expect({ code: settled.code, said: settled.code === 0 ? "" : settled.stdout }).toEqual({ code: 0, said: "" });
      expect(existsSync(join(balancerUnits, "load-balancer"))).toBe(true);
      expect(existsSync(join(balancerUnits, "relay"))).toBe(false);
      if (!isSoak) return;
      expect(Math.max(there.gapMs, back.gapMs)).toBeLessThan(1_000);
    }, 300_000);
  },
);
