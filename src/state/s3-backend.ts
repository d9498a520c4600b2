/**
 * The state in a bucket of S3, or of a store with the same protocol and conditional writes (If-None-Match, If-Match).
 * S3 has no leases: the lock is an object with an expiry time, renewed by its holder, and taken over by a conditional
 * write once that time is long past. A holder that was paused fails at its next write because the new holder has
 * changed the state's ETag, or the new holder fails because the paused one was first: no write is lost silently in
 * either case.
 */
import type { Readable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";
import { loadS3, type S3 } from "../s3/s3-client.ts";
import { s3ErrorText } from "../s3/s3-failure.ts";
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
import type { StateBackend, StoredText } from "./state-backend.ts";
import { readStateStream } from "./state-size.ts";

export type S3BackendOptions = {
  readonly backend: Extract<BackendSpec, { readonly type: "s3" }>;
  readonly clusterName: string;
  readonly clock: Clock;
};

const pollMs = 1_000;
/**
 * A lock is judged by the local clock: it is respected until clocks that differ by this much agree that it has expired.
 */
const clockSkewMaxMs = 10_000;

type Bucket = {
  readonly options: S3BackendOptions;
  readonly place: string;
  readonly get: (name: string) => Promise<StoredText | null>;
  /** Null if the condition did not hold. */
  readonly put: (name: string, text: string, expected: string | null) => Promise<string | null>;
  /** False if the condition did not hold. */
  readonly remove: (name: string, expected: string) => Promise<boolean>;
};

const stateName = "state.json";
const lockName = "lock.json";

export function createS3Backend(options: S3BackendOptions): StateBackend {
  const { clock } = options;
  const bucket = openBucket(options);
  const place = `${bucket.place}${stateName}`;
  return {
    place,
    advice: { text: "If the bucket keeps versions, the previous state is there." },
    read: () => bucket.get(stateName),
    write: async ({ text, expected }) => {
      if ((await putOurs(bucket, stateName, text, expected)) === null) throw moved(place);
    },
    remove: (fencing) => removeState(bucket, place, fencing),
    acquireLock: (options) => waitForLock({ ...options, clock, pollMs }, () => tryTake(bucket, options)),
    lockHolder: async () => {
      const current = await readLock(bucket);
      return current === null || isFree(current.holder, clock) ? null : current.holder;
    },
    forceUnlock: (lockId) => forceUnlock(bucket, lockId),
  };
}

type LockObject = { readonly fencing: number; readonly holder: LockHolder };

async function tryTake(bucket: Bucket, options: LockOptions): Promise<Lock | { readonly holder: LockHolder } | null> {
  const { clock } = bucket.options;
  const current = await readLock(bucket);
  if (current !== null && !isFree(current.holder, clock)) return { holder: current.holder };
  const object: LockObject = {
    fencing: (current?.fencing ?? 0) + 1,
    holder: newHolder(options.operation, clock.now()),
  };
  const version = await putLock(bucket, object, current?.version ?? null);
  return version === null ? null : heldLock(bucket, object, version);
}

function heldLock(bucket: Bucket, taken: LockObject, takenVersion: string): Lock {
  const { clock } = bucket.options;
  let object = taken;
  let version: string | null = takenVersion;
  /** One write of the lock at a time: each needs the version that the previous one has created. */
  let writing: Promise<void> = Promise.resolve();
  const rewrite = (changes: Partial<LockHolder>): Promise<void> => {
    const turn = writing.then(async () => {
      if (version === null) return;
      const next = { ...object, holder: { ...object.holder, ...changes } };
      version = await putLock(bucket, next, version);
      if (version !== null) object = next;
    });
    writing = turn.catch(() => undefined);
    return turn;
  };
  const heartbeat = setInterval(() => {
    void rewrite({ expiresAt: clock.now() + lockLeaseMs }).catch(() => undefined);
  }, lockHeartbeatMs);
  heartbeat.unref();
  return {
    fencing: taken.fencing,
    assertHeld: async () => {
      // An expired lock has no other holder as long as it can be overwritten.
      if (version !== null && clock.now() >= object.holder.expiresAt) {
        await rewrite({ expiresAt: clock.now() + lockLeaseMs });
      }
      if (version === null) throw lockLost(`${bucket.place}${lockName}`);
    },
    release: async () => {
      clearInterval(heartbeat);
      // A failure to release the lock is not an error: it expires.
      await rewrite({ released: true }).catch(() => undefined);
      version = null;
    },
  };
}

async function readLock(bucket: Bucket): Promise<(LockObject & { readonly version: string }) | null> {
  const stored = await bucket.get(lockName);
  if (stored === null) return null;
  try {
    return { ...(JSON.parse(stored.text) as LockObject), version: stored.version };
  } catch {
    throw new HaplanError(
      "lock/unreadable",
      `${bucket.place}${lockName} is not a haplan lock\nChoose another spec.state.s3.prefix.`,
    );
  }
}

async function putLock(bucket: Bucket, object: LockObject, expected: string | null): Promise<string | null> {
  return putOurs(bucket, lockName, JSON.stringify(object), expected);
}

/**
 * Writes and returns the version, or null if the condition did not hold. A store may keep an object and report a
 * failure: the SDK retries, and meets the condition that its own write has broken. Reading the object back decides.
 */
async function putOurs(bucket: Bucket, name: string, text: string, expected: string | null): Promise<string | null> {
  let failure: unknown;
  try {
    const version = await bucket.put(name, text, expected);
    if (version !== null) return version;
  } catch (error) {
    failure = error;
  }
  const stored = await bucket.get(name).catch((error: unknown) => {
    throw failure ?? error;
  });
  if (stored?.text === text) return stored.version;
  if (failure !== undefined) throw failure;
  return null;
}

/**
 * Removes the current state, if the lock is still the one with this number: another run that takes the lock after this
 * check and writes the state changes its version, and then it stays.
 */
async function removeState(bucket: Bucket, place: string, fencing: number | null): Promise<void> {
  const stored = await bucket.get(stateName);
  if (stored === null) return;
  if (fencing !== null) {
    const lock = await readLock(bucket);
    if (lock?.fencing !== fencing || lock.holder.released) throw lockLost(`${bucket.place}${lockName}`);
  }
  const removed = await bucket.remove(stateName, stored.version);
  // It is also gone if the response to a first try was lost.
  if (!removed && (await bucket.get(stateName)) !== null) throw moved(place);
}

function moved(place: string): HaplanError {
  return new HaplanError(
    "state/conflict",
    `The state has changed since it was read\n${place}: another run has written it. Nothing was overwritten. Plan again.`,
  );
}

function isFree(holder: LockHolder, clock: Clock): boolean {
  return holder.released || clock.now() >= holder.expiresAt + clockSkewMaxMs;
}

async function forceUnlock(bucket: Bucket, lockId: string): Promise<LockHolder> {
  const current = await readLock(bucket);
  const holder = current === null || isFree(current.holder, bucket.options.clock) ? null : current.holder;
  assertHolder(holder, lockId);
  const freed: LockObject = { fencing: current!.fencing + 1, holder: { ...holder, released: true } };
  if ((await putLock(bucket, freed, current!.version)) !== null) return holder;
  throw new HaplanError("lock/not-held", "The lock has another holder now\nCheck again which run holds it.");
}

/** The objects below the prefix. The SDK is loaded with the first request. */
function openBucket(options: S3BackendOptions): Bucket {
  const { backend, clusterName } = options;
  const directory = `${backend.prefix === "" ? "" : `${backend.prefix}/`}${clusterName}/`;
  const place = `s3://${backend.bucket}/${directory}`;
  const at = (name: string): { Bucket: string; Key: string } => ({
    Bucket: backend.bucket,
    Key: `${directory}${name}`,
  });
  let loading: Promise<S3> | undefined;
  const ask = async <T>(what: string, work: (s3: S3) => Promise<T>): Promise<T> => {
    loading ??= loadS3(backend);
    try {
      return await work(await loading);
    } catch (error) {
      if (error instanceof HaplanError) throw error;
      const message = `Cannot ${what} the state in S3\n${place}: ${s3ErrorText(error)}\nCheck spec.state.s3, the credentials and the region. An apply that this has stopped goes on when it is run again.`;
      throw new HaplanError("state/unreachable", message, { cause: error });
    }
  };
  return {
    options,
    place,
    get: (name) =>
      ask("read", async ({ client, sdk }) => {
        try {
          const { Body, ETag } = await client.send(new sdk.GetObjectCommand(at(name)));
          const text = Body === undefined ? "" : await readStateStream(Body as Readable, `${place}${name}`);
          return { text, version: ETag ?? "" };
        } catch (error) {
          if (errorName(error) === "NoSuchKey") return null;
          throw error;
        }
      }),
    put: (name, text, expected) =>
      ask("write", async ({ client, sdk }) => {
        const condition = expected === null ? { IfNoneMatch: "*" } : { IfMatch: expected };
        const object = { ...at(name), ...condition, Body: text, ContentType: "application/json" };
        try {
          return (await client.send(new sdk.PutObjectCommand(object))).ETag ?? "";
        } catch (error) {
          if (conditionFailed.has(errorName(error))) return null;
          throw error;
        }
      }),
    remove: (name, expected) =>
      ask("remove", async ({ client, sdk }) => {
        try {
          await client.send(new sdk.DeleteObjectCommand({ ...at(name), IfMatch: expected }));
        } catch (error) {
          if (conditionFailed.has(errorName(error))) return false;
          if (errorName(error) !== "NotImplemented") throw error;
          // Not every store supports conditions for this: the version was checked just now.
          await client.send(new sdk.DeleteObjectCommand(at(name)));
        }
        return true;
      }),
  };
}

/** 412, or 409 for concurrent writes; If-Match on a missing object is a 404. */
const conditionFailed: ReadonlySet<string> = new Set(["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"]);

function errorName(error: unknown): string {
  return error instanceof Error ? error.name : "";
}
