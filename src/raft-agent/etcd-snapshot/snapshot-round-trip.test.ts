/** Random stores through etcd's file format and back: nothing may differ. Also invalid files. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "../../base/random.ts";
import { encodeKeyValue } from "../api/key-value.ts";
import { rangeRequest } from "../api/range.ts";
import { databaseBytes } from "../bbolt/database.fixture.ts";
import { DatabaseReader } from "../bbolt/database-reader.ts";
import { damagedDatabase, defaultPageBytes } from "../bbolt/page-format.ts";
import { bytesSource } from "../bbolt/page-source.ts";
import { MemoryBackend } from "../mvcc/backend/backend.fake.ts";
import { openStore } from "../mvcc/mvcc-store.ts";
import { encodeRevisionKey } from "../mvcc/revision.ts";
import { RevisionError, type Store } from "../mvcc/store.ts";
import { AlarmStore } from "../state-machine/alarm-store.ts";
import { AlarmType } from "../state-machine/apply-result.ts";
import { LeaseTable } from "../state-machine/lease-table.ts";
import { MembershipStore } from "../state-machine/membership-store.ts";
import { exportDatabase } from "./export-database.ts";
import { importKeys } from "./import-keys.ts";
import { importMetadata } from "./import-metadata.ts";
import { snapshotStatus } from "./snapshot-status.ts";

const noTurn = (): Promise<void> => Promise.resolve();
const all = rangeRequest(new Uint8Array([0]), { rangeEnd: new Uint8Array([0]) });
const { code: damagedCode } = damagedDatabase("");

type Change =
  | { readonly kind: "put"; readonly key: string; readonly size: number; readonly lease: bigint }
  | { readonly kind: "delete"; readonly from: string; readonly to: string }
  | { readonly kind: "compact"; readonly back: number };

const keyText = fc.constantFrom("a", "b", "b/1", "b/2", "c", "d");
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key: keyText,
      size: fc.constantFrom(0, 3, 40, 5000, 20_000),
      lease: fc.constantFrom(0n, 0n, 7n),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("delete" as const), from: keyText, to: fc.constantFrom("", "z") }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact" as const), back: fc.nat(3) }) },
);

async function build(transactions: readonly (readonly Change[])[]): Promise<Store> {
  const store = await openStore({ backend: new MemoryBackend() });
  for (const changes of transactions) {
    const txn = store.beginWrite();
    for (const one of changes) {
      if (one.kind === "put") txn.put(Buffer.from(one.key), Buffer.alloc(one.size, "v"), one.lease);
      else if (one.kind === "delete") txn.deleteRange(Buffer.from(one.from), Buffer.from(one.to));
    }
    txn.end();
    for (const one of changes) {
      if (one.kind !== "compact" || store.revision - one.back <= store.compactedRevision) continue;
      await store.compact(store.revision - one.back);
    }
  }
  return store;
}

async function toFile(store: Store): Promise<Buffer> {
  const view = await store.view();
  const { sizeBytes, chunks } = await exportDatabase(view, noTurn);
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  view.close();
  const bytes = Buffer.concat(parts);
  expect(bytes.length).toBe(sizeBytes);
  return bytes;
}

async function fromFile(bytes: Buffer, bumpRevision = 0): Promise<{ store: Store; notices: readonly string[] }> {
  const database = new DatabaseReader(bytesSource(bytes));
  const backend = new MemoryBackend();
  await backend.replace(async (empty) => void (await importKeys(database, empty, bumpRevision)));
  const { notices } = importMetadata(database, backend.metadata);
  return { store: await openStore({ backend }), notices };
}

const kvOfA = { key: Buffer.from("a"), version: 1, value: Buffer.from("1"), lease: 0n };

const values = (store: Store): string[] => store.range(all).kvs.map((kv) => Buffer.from(kv).toString("hex"));

describe("snapshot in etcd's format", () => {
  it("round-trips keys, history, leases and hash", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 25 }), async (transactions) => {
        const store = await build(transactions);
        const { store: restored } = await fromFile(await toFile(store));
        expect([restored.revision, restored.compactedRevision]).toEqual([store.revision, store.compactedRevision]);
        expect(await restored.hashKv(0)).toEqual(await store.hashKv(0));
        expect(values(restored)).toEqual(values(store));
        expect(restored.keysOfLease(7n)).toEqual(store.keysOfLease(7n));
      }),
      { numRuns: 100 },
    );
  });

  it("starts later and without history when the revision is bumped", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 15 }), async (transactions) => {
        const store = await build(transactions);
        const { store: restored } = await fromFile(await toFile(store), 1000);
        expect(restored.revision).toBe(store.revision + 1000);
        expect(values(restored)).toEqual(values(store));
        expect(() => restored.range({ ...all, revision: store.revision })).toThrow(RevisionError);
        const again = await fromFile(await toFile(restored));
        expect(again.store.revision).toBe(restored.revision);
        expect(await again.store.hashKv(0)).toEqual(await restored.hashKv(0));
      }),
      { numRuns: 40 },
    );
  });

  it("treats an empty entry, left by a bump of etcd 3.6, as its revision", async () => {
    const mark = encodeRevisionKey(1005, 0);
    const content: Record<string, [Uint8Array, Uint8Array][]> = {
      key: [
        [encodeRevisionKey(2, 0), encodeKeyValue({ ...kvOfA, createRevision: 2, modRevision: 2 })],
        [encodeRevisionKey(1005, 0), new Uint8Array(0)],
      ],
      meta: [[Buffer.from("scheduledCompactRev"), mark]],
    };
    const { store } = await fromFile(databaseBytes(content));
    expect([store.revision, store.compactedRevision]).toEqual([1005, 1005]);
    expect(values(store)).toHaveLength(1);
    const { meta: _unmarked, ...keysOnly } = content;
    await expect(fromFile(databaseBytes(keysOnly))).rejects.toThrow(/revision 1005\/0 belongs to another revision/);
  });

  it("is rejected by name when a value does not belong in its bucket", async () => {
    const good = encodeKeyValue({ ...kvOfA, createRevision: 2, modRevision: 2 });
    const lease = Buffer.from([0x08, 7, 0x10, 60]);
    const wrong: [words: RegExp, content: Record<string, [Uint8Array, Uint8Array][]>][] = [
      [/not a revision/, { key: [[Buffer.from("short"), good]] }],
      [/belongs to another revision/, { key: [[encodeRevisionKey(3, 0), good]] }],
      [/cannot be read/, { key: [[encodeRevisionKey(2, 0), good.subarray(0, good.length - 1)]] }],
      [/too large/, { key: [[Buffer.alloc(17, 0x5f), good]] }],
      [
        /follows/,
        {
          key: [
            [encodeRevisionKey(2, 0), good],
            [encodeRevisionKey(2, 0, true), good],
          ],
        },
      ],
      [/a lease has no id/, { lease: [[Buffer.from("7"), lease]] }],
      [/lease 8 has the id of another one/, { lease: [[Buffer.from([0, 0, 0, 0, 0, 0, 0, 8]), lease]] }],
      [/a lease cannot be read/, { lease: [[Buffer.alloc(8), Buffer.from([0x08])]] }],
      [/an alarm cannot be read/, { alarm: [[Buffer.from([0x08]), new Uint8Array(0)]] }],
      [/a user cannot be read/, { authUsers: [[Buffer.from("u"), Buffer.from([0x0a, 9])]] }],
      [/a role cannot be read/, { authRoles: [[Buffer.from("r"), Buffer.from([0x0a, 9])]] }],
      [/finishedCompactRev is not a revision/, { meta: [[Buffer.from("finishedCompactRev"), Buffer.from("x")]] }],
    ];
    for (const [words, content] of wrong) await expect(fromFile(databaseBytes(content))).rejects.toThrow(words);
  });

  it("includes leases, users, roles and a CORRUPT alarm, but not members and NOSPACE", async () => {
    const store = await build([[{ kind: "put", key: "a", size: 1, lease: 7n }]]);
    const { metadata } = store;
    const leases = new LeaseTable(metadata);
    leases.grant(7n, 60);
    leases.grant(0x7fff_ffff_ffff_ffffn, 9_000_000_000);
    leases.checkpoint(7n, 12);
    const alarms = new AlarmStore(metadata);
    alarms.activate({ member: "00000000000000ab", type: AlarmType.noSpace });
    alarms.activate({ member: "fe6637539bb1627c", type: AlarmType.corrupt });
    const member = { id: "00000000000000ab", name: "m1", peerUrls: ["http://a:1"], clientUrls: [], learner: true };
    new MembershipStore(metadata).seed([member], { voters: [member.id], votersOutgoing: [], learners: [] });
    metadata.put("auth", "authEnabled", Uint8Array.of(1));
    metadata.put("authUsers", "root", Buffer.from("\n\u0004root", "latin1"));
    metadata.put("authRoles", "rôle", Buffer.from("\n\u0001r", "latin1"));

    const bytes = await toFile(store);
    const database = new DatabaseReader(bytesSource(bytes));
    const [member0] = [...database.entries("members")];
    expect(member0?.key.toString()).toBe("ab");
    expect(member0?.value.toString()).toBe('{"id":171,"peerURLs":["http://a:1"],"isLearner":true,"name":"m1"}');
    expect(snapshotStatus(database).revision).toBe(2);

    const { store: restored, notices } = await fromFile(bytes);
    const restoredLeases = new LeaseTable(restored.metadata);
    restoredLeases.load();
    expect([...restoredLeases.all()]).toEqual([...leases.all()]);
    const restoredAlarms = new AlarmStore(restored.metadata);
    restoredAlarms.load();
    expect(restoredAlarms.list(AlarmType.none)).toEqual([{ member: "fe6637539bb1627c", type: AlarmType.corrupt }]);
    expect(notices).toHaveLength(2);
    for (const bucket of ["auth", "authUsers", "authRoles"]) {
      expect(restored.metadata.entries(bucket).map(([key, value]) => [key, Buffer.from(value)])).toEqual(
        metadata.entries(bucket).map(([key, value]) => [key, Buffer.from(value)]),
      );
    }
    expect(restored.metadata.entries("members")).toEqual([]);
  });

  it("is rejected or harmless when it is damaged without a checksum error", async () => {
    const store = await build(
      Array.from({ length: 120 }, (_, i) => [
        { kind: "put" as const, key: ["a", "b", "c"][i % 3]!, size: i % 40 === 0 ? 9000 : i, lease: 7n },
      ]),
    );
    new LeaseTable(store.metadata).grant(7n, 60);
    const whole = await toFile(store);
    const random = createRandom(3);
    const outcomes = { rejected: 0, read: 0 };
    for (let round = 0; round < 400; round++) {
      const bytes = Buffer.from(whole);
      // Half of them where pages have their headers and elements.
      const page = random.below(bytes.length / defaultPageBytes);
      const at = page * defaultPageBytes + random.below(round % 2 === 0 ? 120 : defaultPageBytes);
      bytes[at]! ^= 1 << random.below(8);
      try {
        const { store: restored } = await fromFile(bytes);
        await restored.hashKv(0);
        outcomes.read++;
      } catch (error) {
        expect(error).toMatchObject({ code: damagedCode });
        outcomes.rejected++;
      }
    }
    expect(outcomes.rejected).toBeGreaterThan(30);
  });
});
