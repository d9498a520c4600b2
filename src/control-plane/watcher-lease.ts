/** One watcher at a time: a key under a lease in the cluster that is watched. Without a quorum no watcher holds it. */
import { CompareResult, CompareTarget } from "../raft-agent/api/compare.ts";
import { decodeKeyValue } from "../raft-agent/api/key-value.ts";
import { rangeRequest } from "../raft-agent/api/range.ts";
import { emptyBytes } from "../raft-agent/api/wire.ts";
import type { MembersRequest } from "./control-plane.ts";
import { openMembers } from "./open-members.ts";

const key: Uint8Array = Buffer.from("/haplan/watcher");
const callTimeoutMs = 3_000;

export type WatcherLeaseOptions = {
  /** What another watcher is told of this one, such as its host and pid. */
  readonly holder: string;
  /** How long after its death another watcher takes over. */
  readonly ttlSeconds: number;
};

/** `holder`: of the watcher that has it; null if it is unknown. */
export type LeaseState = { readonly held: true } | { readonly held: false; readonly holder: string | null };

export type WatcherLease = {
  /** Renews the lease, or takes it if no other watcher has it. @throws if no member answers, or there is no quorum */
  hold(): Promise<LeaseState>;
  /** Gives it back, so that another watcher takes over at once. */
  close(): Promise<void>;
};

export function openWatcherLease(request: MembersRequest, { holder, ttlSeconds }: WatcherLeaseOptions): WatcherLease {
  const { pool, close } = openMembers(request);
  const value = Buffer.from(holder);
  let lease: bigint | null = null;

  const take = async (): Promise<LeaseState> => {
    const { ID } = await pool.tryEach((client) => client.leaseGrant(ttlSeconds), callTimeoutMs);
    const put = { key, value, lease: ID, prevKv: false, ignoreValue: false, ignoreLease: false };
    const { succeeded, responses } = await pool.tryEach(
      (client) =>
        client.txn({
          compare: [
            {
              result: CompareResult.equal,
              target: CompareTarget.create,
              key,
              operand: { kind: "createRevision", number: 0 },
              rangeEnd: emptyBytes,
            },
          ],
          success: [{ kind: "put", request: put }],
          failure: [{ kind: "range", request: rangeRequest(key, {}) }],
        }),
      callTimeoutMs,
    );
    if (succeeded) {
      lease = ID;
      return { held: true };
    }
    await pool.tryEach((client) => client.leaseRevoke(ID), callTimeoutMs).catch(() => undefined);
    const [answer] = responses;
    const found = answer?.kind === "range" ? answer.response.kvs[0] : undefined;
    return { held: false, holder: found === undefined ? null : Buffer.from(decodeKeyValue(found).value).toString() };
  };

  return {
    hold: async () => {
      const present = lease;
      if (present !== null) {
        const { ttl } = await pool.tryEach((client) => client.leaseKeepAlive(present), callTimeoutMs);
        if (ttl > 0) return { held: true };
        lease = null;
      }
      return take();
    },
    close: async () => {
      const present = lease;
      lease = null;
      if (present !== null)
        await pool.tryEach((client) => client.leaseRevoke(present), callTimeoutMs).catch(() => undefined);
      close();
    },
  };
}
