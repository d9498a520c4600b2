/**
 * Leases of the copy: granted with the ids and the TTLs of the source, renewed as long as the source has them, and revoked
 * once it has not. No lease expires in the copy by itself: the keys of one go when their deletion is copied.
 */

import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { leaseFacts, leaseIds } from "./cluster-calls.ts";
import type { ClusterEnd } from "./cluster-end.ts";

/** Of a lease that the source no longer has, until the deletion of its keys is copied. */
const leftoverTtlSeconds = 3_600;
const concurrency = 16;
const callTimeoutMs = 5_000;

type Kept = { readonly grantedSeconds: number; renewAtMs: number };

export class LeaseMirror {
  readonly #source: ClusterEnd;
  readonly #target: ClusterEnd;
  readonly #kept = new Map<bigint, Kept>();

  constructor(source: ClusterEnd, target: ClusterEnd) {
    this.#source = source;
    this.#target = target;
  }

  get count(): number {
    return this.#kept.size;
  }

  /** What the copy has from its snapshot. All are renewed at once: time has passed since. */
  async start(): Promise<void> {
    await this.#load(await leaseIds(this.#target));
    await this.renewDue();
  }

  /** Before a key with this lease is put. */
  async ensure(id: bigint): Promise<void> {
    if (id !== 0n && !this.#kept.has(id)) await this.#grant(id);
  }

  /**
   * Grants what is missing, and revokes what the source has no longer, if no key of the copy has it. `exclusively` runs while no
   * change is copied.
   */
  async align(exclusively: (act: () => Promise<void>) => Promise<void>): Promise<void> {
    const wanted = new Set(await leaseIds(this.#source));
    await each([...wanted], async (id) => this.ensure(id));
    const extra = [...this.#kept.keys()].filter((id) => !wanted.has(id));
    for (const id of extra) {
      await exclusively(async () => {
        const facts = await leaseFacts(this.#target, id, true);
        if (facts !== null && facts.keys.length > 0) return;
        this.#kept.delete(id);
        if (facts !== null) await this.#revoke(id);
      });
    }
  }

  /** Renews those that are due: each after a third of its TTL, as clients do. */
  async renewDue(): Promise<void> {
    const nowMs = performance.now();
    const due = [...this.#kept].filter(([, { renewAtMs }]) => renewAtMs <= nowMs);
    await each(due, async ([id, kept]) => {
      kept.renewAtMs = nowMs + Math.min(60_000, (kept.grantedSeconds * 1_000) / 3);
      await this.#target.pool.tryEach((client) => client.leaseKeepAlive(id), callTimeoutMs);
    });
  }

  async #load(ids: readonly bigint[]): Promise<void> {
    await each(ids, async (id) => {
      const facts = await leaseFacts(this.#target, id);
      if (facts !== null) this.#kept.set(id, { grantedSeconds: facts.grantedSeconds, renewAtMs: 0 });
    });
  }

  async #grant(id: bigint): Promise<void> {
    const facts = await leaseFacts(this.#source, id);
    const grantedSeconds = facts?.grantedSeconds ?? leftoverTtlSeconds;
    try {
      await this.#target.pool.tryEach((client) => client.leaseGrant(grantedSeconds, id), callTimeoutMs);
    } catch (error) {
      // An attempt before has done it.
      if (!(error instanceof GrpcError) || !/lease already exists/.test(error.message)) throw error;
    }
    this.#kept.set(id, { grantedSeconds, renewAtMs: performance.now() + (grantedSeconds * 1_000) / 3 });
  }

  async #revoke(id: bigint): Promise<void> {
    try {
      await this.#target.pool.tryEach((client) => client.leaseRevoke(id), callTimeoutMs);
    } catch (error) {
      if (!(error instanceof GrpcError) || error.code !== StatusCode.notFound) throw error;
    }
  }
}

/** A few at a time. */
export async function each<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  const work = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work));
}
