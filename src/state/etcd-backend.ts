/**
 * The state in etcd, or in another haplan cluster. Every write is one transaction that checks that the state is still
 * the one that was read (its mod revision) and that the lock is still ours (its create revision, which is the fencing
 * number): a holder that was paused can no longer write, whatever it believes.
 *  The lock is a key under a lease: if its holder dies, etcd removes it.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import type { Clock } from "../base/clock.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { EtcdClient } from "../etcd-client/etcd-client.ts";
import { type ClientOptions, connect } from "../etcd-client/grpc-client.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { type Compare, CompareResult, CompareTarget } from "../raft-agent/api/compare.ts";
import { decodeKeyValue, type KeyValue } from "../raft-agent/api/key-value.ts";
import { rangeRequest } from "../raft-agent/api/range.ts";
import type { RequestOp, TxnResponse } from "../raft-agent/api/txn.ts";
import { emptyBytes } from "../raft-agent/api/wire.ts";
import type { BackendSpec } from "../spec/cluster-spec.ts";
import type { LockOptions } from "./lock-holder.ts";
import {
  assertHolder,
  type Lock,
  type LockHolder,
  lockHeartbeatMs,
  lockLeaseMs,
  lockLost,
  newHolder,
  waitForLock,
} from "./lock-holder.ts";
import type { StateBackend, StoredText, TextWrite } from "./state-backend.ts";
import { unpackState } from "./state-size.ts";

export type EtcdBackendOptions = {
  readonly backend: Extract<BackendSpec, { readonly type: "etcd" }>;
  readonly clusterName: string;
  /** The base of relative paths of certificates. */
  readonly cwd: string;
  readonly clock: Clock;
};

const callTimeoutMs = 5_000;
const pollMs = 500;
/** etcd rejects requests of more than 1.5 MiB; the text of a state compresses to a tenth. */
const compressAboveBytes = 256 * 1024;

export function createEtcdBackend(options: EtcdBackendOptions): StateBackend {
  const { backend, clusterName, clock } = options;
  const keys = { state: `${backend.prefix}/${clusterName}/state`, lock: `${backend.prefix}/${clusterName}/lock` };
  const session: EtcdSession = { ...options, keys, place: `${backend.endpoints.join(",")}${keys.state}` };
  return {
    place: session.place,
    advice: { text: `etcd keeps earlier revisions of ${keys.state} until it is compacted.` },
    read: () => withClient(session, (client) => readText(client, session)),
    write: (write) => withClient(session, (client) => writeText(client, session, write)),
    remove: (fencing) =>
      withClient(session, async (client) => {
        const remove: RequestOp = {
          kind: "deleteRange",
          request: { key: bytes(keys.state), rangeEnd: emptyBytes, prevKv: false },
        };
        const { succeeded } = await client.txn({ compare: ours(keys.lock, fencing), success: [remove], failure: [] });
        if (!succeeded) throw lockLost(keys.lock);
      }),
    acquireLock: (options) =>
      waitForLock({ ...options, clock, pollMs }, () =>
        withClient(session, (client) => tryTake(client, session, options)),
      ),
    lockHolder: () => withClient(session, async (client) => (await readHolder(client, keys.lock))?.holder ?? null),
    forceUnlock: (lockId) => withClient(session, (client) => forceUnlock(client, keys.lock, lockId)),
  };
}

type EtcdSession = EtcdBackendOptions & {
  readonly keys: { readonly state: string; readonly lock: string };
  readonly place: string;
};

/** One connection per operation: there are few of them, and none keeps haplan from exiting. */
async function withClient<T>(session: EtcdSession, work: (client: EtcdClient) => Promise<T>): Promise<T> {
  const grpc = connect(clientOptions(session));
  try {
    return await work(new EtcdClient(grpc, { timeoutMs: callTimeoutMs }));
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    const message = `Cannot reach the state in etcd\n${session.backend.endpoints.join(", ")}: ${errorText(error)}\nCheck spec.state.etcd and that the etcd is healthy. An apply that this has stopped goes on when it is run again.`;
    throw new HaplanError("state/unreachable", message, { cause: error });
  } finally {
    await grpc.close();
  }
}

function clientOptions({ backend, cwd }: EtcdSession): ClientOptions {
  const { endpoints, tls } = backend;
  if (tls === null) return { endpoints };
  const read = (path: string): Buffer => {
    try {
      return readFileSync(resolve(cwd, path));
    } catch (error) {
      throw new HaplanError(
        "state/unreadable",
        `Cannot read a file named in spec.state.etcd\n${path}: ${errorText(error)}`,
      );
    }
  };
  const pair =
    tls.certFile === null || tls.keyFile === null ? {} : { cert: read(tls.certFile), key: read(tls.keyFile) };
  return { endpoints, tls: { ca: read(tls.caFile), ...pair } };
}

async function readKey(client: EtcdClient, key: string): Promise<KeyValue | null> {
  const [found] = (await client.range(key)).kvs;
  return found === undefined ? null : decodeKeyValue(found);
}

async function readText(client: EtcdClient, { keys, place }: EtcdSession): Promise<StoredText | null> {
  const found = await readKey(client, keys.state);
  return found === null ? null : { text: unpack(found.value, place), version: String(found.modRevision) };
}

async function writeText(client: EtcdClient, session: EtcdSession, write: TextWrite): Promise<void> {
  const { keys, place } = session;
  const unchanged = revisionIs("mod", keys.state, Number(write.expected ?? 0));
  const value = pack(write.text);
  let outcome: TxnResponse;
  try {
    outcome = await client.txn({
      compare: [unchanged, ...ours(keys.lock, write.fencing)],
      success: [put(keys.state, value, 0n)],
      failure: [{ kind: "range", request: rangeRequest(bytes(keys.lock)) }],
    });
  } catch (error) {
    // The response was lost; the write may have succeeded.
    const stored = error instanceof GrpcError ? await readText(client, session).catch(() => null) : null;
    if (stored?.text === write.text) return;
    throw error;
  }
  if (outcome.succeeded) return;
  const [answer] = outcome.responses;
  const found = answer?.kind === "range" ? answer.response.kvs[0] : undefined;
  const held = found !== undefined && decodeKeyValue(found).createRevision === write.fencing;
  if (write.fencing !== null && !held) throw lockLost(keys.lock);
  throw new HaplanError(
    "state/conflict",
    `The state has changed since it was read\n${place}: another run has written it. Nothing was overwritten. Plan again.`,
  );
}

async function tryTake(
  client: EtcdClient,
  session: EtcdSession,
  options: LockOptions,
): Promise<Lock | { readonly holder: LockHolder } | null> {
  const { keys, clock } = session;
  const holder = newHolder(options.operation, clock.now());
  const grantedAt = clock.monotonicMs();
  const { ID: lease } = await client.leaseGrant(lockLeaseMs / 1000);
  const { succeeded, header } = await client.txn({
    compare: [revisionIs("create", keys.lock, 0)],
    success: [put(keys.lock, bytes(JSON.stringify(holder)), lease)],
    failure: [],
  });
  if (succeeded) return heldLock(session, { lease, fencing: header?.revision ?? 0, grantedAt });
  await client.leaseRevoke(lease);
  const other = await readHolder(client, keys.lock);
  return other === null ? null : { holder: other.holder };
}

function heldLock(
  session: EtcdSession,
  { lease, fencing, grantedAt }: { readonly lease: bigint; readonly fencing: number; readonly grantedAt: number },
): Lock {
  const { clock, keys } = session;
  let heldUntil = grantedAt + lockLeaseMs;
  let released = false;
  const renew = async (): Promise<void> => {
    const askedAt = clock.monotonicMs();
    const { ttl } = await withClient(session, (client) => client.leaseKeepAlive(lease));
    // Counted from before the request was sent: etcd's own count started later.
    heldUntil = ttl > 0 ? askedAt + Number(ttl) * 1000 : askedAt;
  };
  // A failed renewal is retried by the next one; if all fail, the lease expires.
  const heartbeat = setInterval(() => void renew().catch(() => undefined), lockHeartbeatMs);
  heartbeat.unref();
  return {
    fencing,
    assertHeld: async () => {
      if (!released && clock.monotonicMs() < heldUntil) return;
      // etcd may keep the lease for longer than the local count, and the key with it.
      const held = released ? null : await withClient(session, (client) => readKey(client, keys.lock));
      if (held?.createRevision === fencing) await renew();
      if (held?.createRevision !== fencing || clock.monotonicMs() >= heldUntil) throw lockLost(keys.lock);
    },
    release: async () => {
      clearInterval(heartbeat);
      if (released) return;
      released = true;
      // A failure to release the lock is not an error: the lease expires.
      await withClient(session, (client) => client.leaseRevoke(lease)).catch(() => undefined);
    },
  };
}

async function readHolder(
  client: EtcdClient,
  key: string,
): Promise<{ readonly holder: LockHolder; readonly found: KeyValue } | null> {
  const found = await readKey(client, key);
  if (found === null) return null;
  try {
    return { holder: JSON.parse(Buffer.from(found.value).toString("utf8")) as LockHolder, found };
  } catch {
    throw new HaplanError(
      "lock/unreadable",
      `The key ${key} does not contain a haplan lock\nChoose another spec.state.etcd.prefix.`,
    );
  }
}

async function forceUnlock(client: EtcdClient, key: string, lockId: string): Promise<LockHolder> {
  const current = await readHolder(client, key);
  const holder = current?.holder ?? null;
  assertHolder(holder, lockId);
  const { createRevision } = current!.found;
  await client.txn({
    compare: [revisionIs("create", key, createRevision)],
    success: [{ kind: "deleteRange", request: { key: bytes(key), rangeEnd: emptyBytes, prevKv: false } }],
    failure: [],
  });
  return holder;
}

/** The lock is still the one with this fencing number. */
function ours(key: string, fencing: number | null): readonly Compare[] {
  return fencing === null ? [] : [revisionIs("create", key, fencing)];
}

/** A revision of 0 means that the key does not exist. */
function revisionIs(which: "create" | "mod", key: string, revision: number): Compare {
  return {
    result: CompareResult.equal,
    target: CompareTarget[which],
    key: bytes(key),
    operand: { kind: which === "create" ? "createRevision" : "modRevision", number: revision },
    rangeEnd: emptyBytes,
  };
}

function put(key: string, value: Uint8Array, lease: bigint): RequestOp {
  const request = { key: bytes(key), value, lease, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", request };
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}

function pack(text: string): Uint8Array {
  const plain = bytes(text);
  return plain.length > compressAboveBytes ? gzipSync(plain) : plain;
}

/** A state's plain text never begins with gzip's magic number (RFC 1952 §2.3.1). */
function unpack(value: Uint8Array, place: string): string {
  const packed = value[0] === 0x1f && value[1] === 0x8b;
  return packed ? unpackState(value, place) : Buffer.from(value).toString("utf8");
}
