/**
 * Leases as known to every member: the grants, and the last replicated remaining TTLs. The store knows which keys are
 * attached to a lease (a key-value contains its lease). Nothing here reads a clock; see `lessor.ts` for the leader's
 * duty.
 */
import { WireReader, WireWriter } from "../api/wire.ts";
import type { Metadata } from "../mvcc/backend/backend.ts";

/** A positive 63-bit number, as clients know it. */
export type LeaseId = bigint;

export type Lease = {
  readonly id: LeaseId;
  /** Granted time to live, in seconds. */
  readonly ttlSeconds: number;
  /** Set by a checkpoint: the remaining TTL at that time, in seconds; 0 means the full TTL. */
  readonly remainingSeconds: number;
};

/** etcd's limit for a TTL, in seconds: above it, time arithmetic in nanoseconds would overflow there. */
export const leaseTtlMaxSeconds = 9_000_000_000;

/** etcd's bucket, with leasepb.Lease values; keys are 16 hex digits here. */
const bucket = "lease";

export class LeaseTable {
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #metadata: Metadata;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  get size(): number {
    return this.#leases.size;
  }

  get(id: LeaseId): Lease | undefined {
    return this.#leases.get(id);
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  all(): IterableIterator<Lease> {
    return this.#leases.values();
  }

  /** The caller has checked that the id is free. */
  grant(id: LeaseId, ttlSeconds: number): Lease {
    return this.#set({ id, ttlSeconds, remainingSeconds: 0 });
  }

  revoke(id: LeaseId): void {
    if (this.#leases.delete(id)) this.#metadata.delete(bucket, metadataKey(id));
  }

  checkpoint(id: LeaseId, remainingSeconds: number): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) this.#set({ ...lease, remainingSeconds });
  }

  /** Reloads everything, at start and after a snapshot was installed. */
  load(): void {
    this.#leases.clear();
    for (const [, bytes] of this.#metadata.entries(bucket)) {
      const lease = decodeLease(bytes);
      this.#leases.set(lease.id, lease);
    }
  }

  #set(lease: Lease): Lease {
    this.#leases.set(lease.id, lease);
    this.#metadata.put(bucket, metadataKey(lease.id), encodeLease(lease));
    return lease;
  }
}

function metadataKey(id: LeaseId): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, "0");
}

/** leasepb.Lease: ID = 1, TTL = 2, RemainingTTL = 3. */
function encodeLease(lease: Lease): Uint8Array {
  const writer = new WireWriter(32);
  writer.bigIntUnlessZero(0x08, lease.id);
  writer.intUnlessZero(0x10, lease.ttlSeconds);
  writer.intUnlessZero(0x18, lease.remainingSeconds);
  return writer.copy();
}

function decodeLease(bytes: Uint8Array): Lease {
  const reader = new WireReader(bytes);
  let id = 0n;
  let ttlSeconds = 0;
  let remainingSeconds = 0;
  while (reader.offset < bytes.length) {
    const tag = reader.tag();
    if (tag === 0x08) id = reader.bigInt64();
    else if (tag === 0x10) ttlSeconds = reader.int64();
    else if (tag === 0x18) remainingSeconds = reader.int64();
    else reader.skip(tag, 3);
  }
  return { id, ttlSeconds, remainingSeconds };
}
