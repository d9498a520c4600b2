import { describe, expect, it } from "vitest";
import type { Metadata } from "../mvcc/backend/backend.ts";
import { LeaseTable } from "./lease-table.ts";
import { expiryBatchMax, Lessor } from "./lessor.ts";

function createMemoryMetadata(): Metadata {
  const entries = new Map<string, [string, string, Uint8Array]>();
  return {
    get: (bucket, key) => entries.get(`${bucket}/${key}`)?.[2],
    put: (bucket, key, value) => void entries.set(`${bucket}/${key}`, [bucket, key, value]),
    delete: (bucket, key) => void entries.delete(`${bucket}/${key}`),
    entries: (wanted) =>
      [...entries.values()].flatMap(([bucket, key, value]) => (bucket === wanted ? [[key, value]] : [])),
  };
}

function leaseWorld(): { table: LeaseTable; expiry: Lessor; clock: { nowMs: number; monotonicMs(): number } } {
  const clock = { nowMs: 1_000_000, monotonicMs: () => clock.nowMs };
  const table = new LeaseTable(createMemoryMetadata());
  return { table, expiry: new Lessor(table, clock), clock };
}

describe("lease table", () => {
  it("restores grants, checkpoints and revokes from metadata", () => {
    const metadata = createMemoryMetadata();
    const table = new LeaseTable(metadata);
    table.grant(1n, 10);
    table.grant(0x7fff_ffff_ffff_ffffn, 9_000_000_000);
    table.grant(3n, 30);
    table.checkpoint(1n, 4);
    table.revoke(3n);
    const again = new LeaseTable(metadata);
    again.load();
    expect([...again.all()]).toEqual([
      { id: 1n, ttlSeconds: 10, remainingSeconds: 4 },
      { id: 0x7fff_ffff_ffff_ffffn, ttlSeconds: 9_000_000_000, remainingSeconds: 0 },
    ]);
  });
});

describe("lessor", () => {
  it("does nothing on a member that is not the leader", () => {
    const { table, expiry, clock } = leaseWorld();
    expiry.granted(table.grant(1n, 2));
    clock.nowMs += 10_000;
    expect(expiry.takeExpired()).toEqual([]);
    expect(expiry.remainingMs(1n)).toBeNull();
    expect(expiry.renew(1n)).toBeNull();
  });

  it("expires a lease after its TTL, renewed leases later", () => {
    const { table, expiry, clock } = leaseWorld();
    expiry.promote(0);
    expiry.granted(table.grant(1n, 2));
    expiry.granted(table.grant(2n, 2));
    clock.nowMs += 1_500;
    expect(expiry.renew(2n)).toEqual({ kind: "renewed", ttlSeconds: 2 });
    clock.nowMs += 500;
    expect(expiry.takeExpired()).toEqual([1n]);
    expect(expiry.renew(1n)).toBeNull();
    clock.nowMs += 1_500;
    expect(expiry.takeExpired()).toEqual([2n]);
  });

  it("returns an expired lease again after three seconds until its revoke is applied", () => {
    const { table, expiry, clock } = leaseWorld();
    expiry.promote(0);
    expiry.granted(table.grant(1n, 2));
    clock.nowMs += 2_000;
    expect(expiry.takeExpired()).toEqual([1n]);
    expect(expiry.takeExpired()).toEqual([]);
    clock.nowMs += 3_000;
    expect(expiry.takeExpired()).toEqual([1n]);
    table.revoke(1n);
    expiry.revoked(1n);
    clock.nowMs += 3_000;
    expect(expiry.takeExpired()).toEqual([]);
  });

  it("returns a lease once although its id was used before", () => {
    const { table, expiry, clock } = leaseWorld();
    expiry.promote(0);
    expiry.granted(table.grant(1n, 2));
    table.revoke(1n);
    expiry.revoked(1n);
    clock.nowMs += 100;
    expiry.granted(table.grant(1n, 2));
    clock.nowMs += 2_000;
    expect(expiry.takeExpired()).toEqual([1n]);
  });

  it("bounds a batch of expired leases", () => {
    const { table, expiry, clock } = leaseWorld();
    expiry.promote(0);
    for (let id = 1n; id <= 1_200n; id++) expiry.granted(table.grant(id, 2));
    clock.nowMs += 2_000;
    expect([expiry.takeExpired().length, expiry.takeExpired().length, expiry.takeExpired().length]).toEqual([
      expiryBatchMax,
      expiryBatchMax,
      200,
    ]);
  });

  it("counts from the checkpoint plus the extension after a change of leader", () => {
    const { table, expiry } = leaseWorld();
    table.grant(1n, 600);
    table.grant(2n, 600);
    table.checkpoint(2n, 100);
    expiry.promote(1_000);
    expect(expiry.remainingMs(1n)).toBe(601_000);
    expect(expiry.remainingMs(2n)).toBe(101_000);
    expect(expiry.renew(2n)).toEqual({ kind: "clearFirst", checkpoints: 0 });
  });

  it("spreads leases that would expire in the same second after a change of leader", () => {
    const { table, expiry, clock } = leaseWorld();
    for (let id = 1n; id <= 2_000n; id++) table.grant(id, 10);
    expiry.promote(0);
    clock.nowMs += 10_000;
    const ended = [expiry.takeExpired().length, expiry.takeExpired().length, expiry.takeExpired().length];
    expect(ended).toEqual([500, 250, 0]);
    clock.nowMs += 2_000;
    let rest = 0;
    for (let batch = expiry.takeExpired(); batch.length > 0; batch = expiry.takeExpired()) rest += batch.length;
    expect(rest).toBe(1_250);
  });

  it("checkpoints a lease that is not renewed from half its TTL on, at least every five minutes", () => {
    const { table, expiry, clock } = leaseWorld();
    expiry.promote(0);
    expiry.granted(table.grant(1n, 3_600));
    expiry.granted(table.grant(2n, 80));
    expiry.granted(table.grant(3n, 4));
    const seen: [second: number, id: bigint, remaining: number][] = [];
    for (let second = 1; second <= 601; second++) {
      clock.nowMs += 1_000;
      for (const id of expiry.takeExpired()) {
        table.revoke(id);
        expiry.revoked(id);
      }
      for (const { id, remainingSeconds } of expiry.takeCheckpoints()) seen.push([second, id, remainingSeconds]);
    }
    expect(seen).toEqual([
      [40, 2n, 40],
      [50, 2n, 30],
      [60, 2n, 20],
      [70, 2n, 10],
      [300, 1n, 3_300],
      [600, 1n, 3_000],
    ]);
  });

  it("A4: counts a checkpoint in flight, and one proposed while another was cleared", () => {
    const { table, expiry, clock } = leaseWorld();
    expiry.promote(0);
    expiry.granted(table.grant(1n, 24));
    clock.nowMs += 12_000;
    expect(expiry.takeCheckpoints()).toHaveLength(1);
    // Not applied, nor known to be.
    expect(expiry.renew(1n)).toEqual({ kind: "clearFirst", checkpoints: 1 });
    expect(expiry.remainingMs(1n)).toBe(12_000);
    clock.nowMs += 12_000;
    expect(expiry.takeCheckpoints()).toHaveLength(1);
    expiry.cleared(1n, 1);
    expect(expiry.renew(1n)).toEqual({ kind: "clearFirst", checkpoints: 2 });
    expiry.cleared(1n, 2);
    expect(expiry.renew(1n)).toEqual({ kind: "renewed", ttlSeconds: 24 });
    expect(expiry.remainingMs(1n)).toBe(24_000);
  });

  it("does not checkpoint leases that are renewed after a third of their TTL", () => {
    const { table, expiry, clock } = leaseWorld();
    expiry.promote(0);
    expiry.granted(table.grant(1n, 60));
    for (let second = 1; second <= 300; second++) {
      clock.nowMs += 1_000;
      if (second % 20 === 0) expect(expiry.renew(1n)).toEqual({ kind: "renewed", ttlSeconds: 60 });
      expect(expiry.takeCheckpoints()).toEqual([]);
    }
  });
});
