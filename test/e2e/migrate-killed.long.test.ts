/**
 * haplan is killed with SIGKILL at each moment of a migration, of its way back and of its end, and then run again or rolled back,
 * while clients write, watch and renew a lease through the load balancer. Whatever they were told is there afterwards, at the
 * members that have the clients; their watches miss nothing and repeat nothing; and no two clusters take the writes of clients.
 *
 * A few moments and one type of load balancer by default, other ones in each run of CI. HAPLAN_TEST_SOAK: all moments, with 100,000 keys.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import type { ClusterEnd } from "../../src/migrate/cluster-end.ts";
import { CompareResult, CompareTarget } from "../../src/raft-agent/api/compare.ts";
import { type AcknowledgedWrite, AcknowledgingWriter, missingWrites } from "./acknowledged-writes.ts";
import { until } from "./cluster-fixture.ts";
import { ClusterToMigrate, hasEtcd, hasHaproxy } from "./cluster-to-migrate.ts";
import { EventRecorder } from "./event-recorder.ts";
import {
  type Moment,
  momentsOfFinish,
  momentsOfMigrate,
  momentsOfRollback,
  pointsOfTheSwitch,
  returnIsRecorded,
  switchIsRecorded,
} from "./migration-moments.ts";

const isSoak = process.env["HAPLAN_TEST_SOAK"] !== undefined;
const turn = Number(process.env["HAPLAN_TEST_LONG_PART"] ?? Math.floor(Date.now() / 86_400_000));
const dieAtMoment = fileURLToPath(new URL("die-at-moment.mjs", import.meta.url));
const prefix = "/written/";
const clientsCount = 4;
/** Clients wait for up to ten seconds where haplan is killed. */
const clientTimeoutMs = 20_000;
const runTimeoutMs = 120_000;

const migrate = ["migrate", "-auto-approve"];
const rollback = ["migrate", "-rollback", "-auto-approve"];
const finish = ["migrate", "-finish", "-auto-approve"];

type Side = "old" | "new";

/** All of them in a soak, else one, another one in each run. */
function byTurns(moments: readonly Moment[]): readonly Moment[] {
  return isSoak ? moments : [moments[turn % moments.length]!];
}

/** The moments one after the other, and again. */
function inTurn(moments: readonly Moment[], first: number): () => Moment {
  let at = first;
  return () => moments[at++ % moments.length]!;
}

const hasPrograms = hasEtcd && hasHaproxy;
const balancers = [
  { balancer: "embedded", holding: "load-balancer", network: 98 },
  { balancer: "haproxy", holding: "relay", network: 95 },
] as const;

describe.skipIf(!hasPrograms).each(isSoak ? balancers : [balancers[turn % balancers.length]!])(
  `haplan killed during a migration, load balancer $balancer${hasPrograms ? "" : " (skipped: etcd or haproxy is not installed)"}`,
  ({ balancer, holding, network }) => {
    const moved = new ClusterToMigrate({ network, balancer, keys: isSoak ? 100_000 : 1_000 });
    const migrationDir = join(moved.cluster.directory, ".haplan/moved/migration");
    const balancerUnits = join(moved.cluster.directory, ".haplan/moved/machines/load-balancer/units");
    const balancerStatus = join(balancerUnits, holding, "files/status.json");
    const written: AcknowledgedWrite[] = [];
    const ends: Partial<Record<Side, ClusterEnd>> = {};
    const endOf = (side: Side): ClusterEnd =>
      (ends[side] ??= moved.open(side === "old" ? moved.oldUrls : moved.newUrls));
    /** Of the load balancer. */
    const clients: EtcdClient[] = [];
    /** Of one member each, by its URL. */
    const memberClients = new Map<string, EtcdClient>();
    const nextOfMigrate = inTurn([...momentsOfMigrate, ...pointsOfTheSwitch(10, 150, 75)], isSoak ? 0 : turn);
    let recorder: EventRecorder;
    let renewal: NodeJS.Timeout;
    /** How often the record says that the clients were moved. */
    let moves = 0;
    let side: Side = "old";
    let oldId = 0n;
    let rounds = 0;
    let eventsChecked = 0;

    afterAll(async () => {
      clearInterval(renewal);
      await recorder?.stop();
      await moved.stop();
    });

    beforeAll(async () => {
      ends.old = await moved.start();
      oldId = (await ends.old.client.range("/before")).header?.clusterId ?? 0n;
      await moved.mustRun(...migrate);
      await moved.mustRun(...rollback);
      const open = (): EtcdClient => moved.open([moved.endpoint]).client;
      for (let n = 0; n < clientsCount; n++) clients.push(open().within(clientTimeoutMs));
      recorder = new EventRecorder(open(), prefix);
      const renewing = open();
      renewal = setInterval(() => void renewing.leaseKeepAlive(1n).catch(() => undefined), 1_000);
    }, 180_000);

    function readPhase(): string {
      const { phase: found } = JSON.parse(readFileSync(join(migrationDir, "record.json"), "utf8")) as {
        readonly phase: string;
      };
      const now: Side = ["switched", "returning", "finished"].includes(found) ? "new" : "old";
      if (now !== side) moves++;
      side = now;
      return found;
    }

    /** Runs it until it is killed at the moment. Returns the phase it has left; null if it was complete before. */
    async function kill(args: readonly string[], { dieAt, printed, laterMs = 0 }: Moment): Promise<string | null> {
      const preload = dieAt === undefined ? [] : ["--import", dieAtMoment];
      const env = { ...moved.asRoot, ...(dieAt === undefined ? {} : { HAPLAN_DIE_AT: JSON.stringify(dieAt) }) };
      const run = moved.cluster.start(args, { env, nodeFlags: preload, timeoutMs: runTimeoutMs });
      let isOver = false;
      const ended = run.end.finally(() => (isOver = true));
      if (printed !== undefined) {
        while (!isOver && !printed.test(run.printed())) await sleep(1);
        await Promise.race([sleep(laterMs), ended]);
        run.signal("SIGKILL");
      }
      const { signal, code, stdout, stderr } = await ended;
      if (signal !== "SIGKILL")
        expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
      const left = readPhase();
      return signal === "SIGKILL" ? left : null;
    }

    async function mustRun(args: readonly string[], left: string): Promise<void> {
      await moved.mustRun(...args);
      expect({ left: readPhase(), files: readdirSync(migrationDir) }).toEqual({ left, files: ["record.json"] });
    }

    /** Clients that wait continue where they were, when haplan does not come back. */
    async function untilReleased(): Promise<void> {
      await until(
        "the load balancer holds no clients",
        () => !("held" in (JSON.parse(readFileSync(balancerStatus, "utf8")) as object)),
        30_000,
      );
    }

    /** Whether a client that calls its members would have its writes made. Changes nothing. */
    async function takesWrites(of: Side): Promise<boolean> {
      const key = Buffer.from("/no such key");
      const operand = { kind: "version", number: 0 } as const;
      const never = { result: CompareResult.greater, target: CompareTarget.version, key, operand, rangeEnd: key };
      const flags = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
      const success = [{ kind: "put", request: { key, value: key, ...flags } }] as const;
      try {
        await endOf(of).client.txn({ compare: [{ ...never, rangeEnd: new Uint8Array() }], success, failure: [] });
        return true;
      } catch (error) {
        if (/corrupt cluster/.test(String(error))) return false;
        throw error;
      }
    }

    async function expectRefuses(of: Side): Promise<void> {
      expect({ of, takesWrites: await takesWrites(of) }).toEqual({ of, takesWrites: false });
    }

    /** Clients write all the time: before haplan is killed at the moment, meanwhile, and after `resolve`. */
    async function round(
      args: readonly string[],
      moment: Moment,
      resolution: string,
      resolve: (left: string | null) => Promise<void>,
    ): Promise<void> {
      const own = `${prefix}${String(++rounds).padStart(4, "0")}/`;
      const writers = clients.map((client, n) => new AcknowledgingWriter(client, `${own}${n}/`, 17));
      const isPrompt = rounds % 2 === 0;
      const times = { killedMs: 0, doneMs: 0 };
      let left: string | null;
      try {
        await until("clients write", () => writers.every(({ acknowledged }) => acknowledged.length > 2), 60_000);
        left = await kill(args, moment);
        times.killedMs = performance.now();
        if (!isPrompt) await untilReleased();
        await resolve(left);
        times.doneMs = performance.now();
        const isServed = (writer: AcknowledgingWriter): boolean => writer.firstAfter(times.doneMs) !== undefined;
        await until("clients write again", () => writers.every(isServed), 60_000);
      } finally {
        await Promise.all(writers.map((writer) => writer.stop()));
      }
      const acknowledged = writers.flatMap((writer) => writer.acknowledged);
      const failures = writers.flatMap((writer) => writer.failures);
      console.log(
        `${args.slice(0, -1).join(" ")}, killed once ${moment.name} (${left ?? "complete"}), ${resolution} ${isPrompt ? "at once" : "later"}: ${acknowledged.length} writes, ${failures.length} failed; ${Math.round(times.doneMs - times.killedMs)} ms`,
      );
      await checkAcknowledged(own, acknowledged);
      checkFailures(failures, times);
      await checkEvents(acknowledged);
      checkSides(acknowledged);
    }

    /** At each member of the cluster that has the clients. */
    async function checkAcknowledged(own: string, acknowledged: readonly AcknowledgedWrite[]): Promise<void> {
      for (const url of endOf(side).endpoints) {
        const client = memberClients.get(url) ?? moved.open([url]).client.within(clientTimeoutMs);
        memberClients.set(url, client);
        const isThere = async (): Promise<boolean> => (await missingWrites(client, own, acknowledged)).length === 0;
        await until(`${url} has everything below ${own}`, isThere, 30_000);
      }
      await moved.checkData(endOf(side));
    }

    /**
     * What docs/migrate-engines.md says of clients while haplan is killed. On a machine that is busy with other things a connection
     * may look idle, or a member that has lost its leader may answer too late: such a write is not acknowledged.
     */
    function checkFailures(
      failures: AcknowledgingWriter["failures"],
      times: { killedMs: number; doneMs: number },
    ): void {
      const unexpected = failures.filter(({ atMs, error }) => {
        if (/the connection was lost|no connection within|request timed out/.test(String(error))) return false;
        return !/corrupt cluster|deadline/i.test(String(error)) || atMs < times.killedMs || atMs > times.doneMs;
      });
      expect(unexpected.map(({ atMs, error }) => [atMs - times.killedMs, atMs - times.doneMs, String(error)])).toEqual(
        [],
      );
    }

    async function checkEvents(acknowledged: readonly AcknowledgedWrite[]): Promise<void> {
      const events = acknowledged.map(({ revision, key }) => `${revision} ${key}`);
      const isSeen = (): boolean => {
        const seen = new Set(recorder.seen.slice(eventsChecked).map(({ revision, key }) => `${revision} ${key}`));
        return events.every((event) => seen.has(event));
      };
      await until("the watcher has seen all writes", isSeen, 30_000);
      const revisions = recorder.seen.slice(Math.max(0, eventsChecked - 1)).map(({ revision }) => revision);
      expect(revisions.findIndex((revision, at) => at > 0 && revision <= revisions[at - 1]!)).toBe(-1);
      eventsChecked = recorder.seen.length;
    }

    /** Each revision was given once, and by one cluster after the other: not by both at the same time. */
    function checkSides(acknowledged: readonly AcknowledgedWrite[]): void {
      written.push(...acknowledged);
      const inOrder = written.toSorted((a, b) => a.revision - b.revision);
      expect(new Set(inOrder.map(({ revision }) => revision)).size).toBe(inOrder.length);
      const isOld = inOrder.map(({ clusterId }) => clusterId === oldId);
      expect(isOld.filter((old, at) => at > 0 && old !== isOld[at - 1]).length).toBeLessThanOrEqual(moves);
    }

    async function expectNoWayBack(): Promise<void> {
      const refused = await moved.cluster.haplan(rollback, { env: moved.asRoot });
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("cannot be brought up to date")]);
      expect(readPhase()).toBe("switched");
      await expectRefuses("old");
    }

    /** The new members have the clients afterwards. */
    function migrateAgain(moment: Moment): Promise<void> {
      return round(migrate, moment, "run again", async (left) => {
        if (left === "switched") await expectRefuses("old");
        await mustRun(migrate, "switched");
        await expectRefuses("old");
      });
    }

    /** The old members have the clients afterwards. */
    function migrateRolledBack(moment: Moment): Promise<void> {
      return round(migrate, moment, "rolled back", async (left) => {
        await mustRun(rollback, "returned");
        if (left === null || left === "switched") await expectRefuses("new");
      });
    }

    /** The old members have the clients afterwards. */
    function rollbackAgain(moment: Moment): Promise<void> {
      return round(rollback, moment, "run again", async (left) => {
        if (left === "returned") await expectRefuses("new");
        await mustRun(rollback, "returned");
        await expectRefuses("new");
      });
    }

    /** The new members have the clients afterwards. */
    function rollbackThenMigrate(moment: Moment): Promise<void> {
      return round(rollback, moment, "migrated again", async (left) => {
        if (left === "returning") {
          const refused = await moved.cluster.haplan(migrate, { env: moved.asRoot });
          expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("haplan migrate -rollback")]);
          await mustRun(rollback, "returned");
        }
        await mustRun(migrate, "switched");
        await expectRefuses("old");
      });
    }

    it("14/4: once the switch is recorded, clients that are back at the old members are moved before these take changes", async () => {
      await migrateRolledBack(switchIsRecorded);
    }, 120_000);

    it("14/4: once the return is recorded, clients that are back at the new members are moved before these are made anew", async () => {
      await migrateAgain(nextOfMigrate());
      await rollbackThenMigrate(returnIsRecorded);
    }, 180_000);

    it("14/4: at each moment, it is run again or rolled back", async () => {
      for (const moment of byTurns([...momentsOfRollback, ...pointsOfTheSwitch(10, 150)])) {
        await rollbackAgain(moment);
        await migrateAgain(nextOfMigrate());
      }
      if (!isSoak) return;
      for (const moment of momentsOfRollback) {
        await rollbackThenMigrate(moment);
        await mustRun(rollback, "returned");
        await migrateRolledBack(nextOfMigrate());
        await mustRun(migrate, "switched");
      }
      // With HAProxy, the end is recorded before anything else.
      if (balancer === "haproxy") return;
      await round(finish, momentsOfFinish[0]!, "rolled back", () => mustRun(rollback, "returned"));
      await mustRun(migrate, "switched");
    }, 1_800_000);

    it("14/4: a way back whose history is compacted is refused, and what was killed meanwhile can be finished", async () => {
      const { client } = endOf("new");
      const { header } = await client.put("/compacted", "x");
      await client.compact(header?.revision ?? 0);
      await expectNoWayBack();
      // The same of a client that is still at the addresses of the old members.
      await kill(rollback, momentsOfRollback[2]!);
      await endOf("old").client.put("/written there", "x");
      await expectNoWayBack();
      const [first, second] = balancer === "haproxy" ? momentsOfFinish.toReversed() : momentsOfFinish;
      await round(finish, first!, "killed again and run again", async () => {
        expect(await kill(finish, second!)).toBe("finished");
        await mustRun(finish, "finished");
      });
      expect(readdirSync(balancerUnits)).toEqual(["load-balancer"]);
      expect(await moved.mustRun(...rollback)).toContain("The migration is finished");
      await expectRefuses("old");
      await moved.checkData(endOf("new"));
      expect(await missingWrites(memberClients.get(moved.newUrls[0]!)!, prefix, written)).toEqual([]);
    }, 180_000);
  },
);
