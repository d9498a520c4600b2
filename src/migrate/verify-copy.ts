/** Whether a copy has the history of keys of its source up to a revision, by etcd's own hash of it. */

import { systemClock } from "../base/clock.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { decodeKeyValue } from "../raft-agent/api/key-value.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { authState, type KeyspaceHash, keyspaceHash, usersAndRoles } from "./cluster-calls.ts";
import type { ClusterEnd } from "./cluster-end.ts";
import { DivergedError } from "./copy-error.ts";

const attemptsMax = 20;
const retryPauseMs = 100;
const pageKeys = 1_000;
const callTimeoutMs = 10_000;

export type VerifiedCopy = {
  readonly revision: number;
  readonly hash: number;
  /** `hash`: of the whole history. `keys`: hashes differ by version of etcd, and all keys were compared instead. */
  readonly by: "hash" | "keys";
};

/**
 * Compares one member of the source with every member of the copy. What the source has compacted is compacted in the copy
 * first: the hash leaves it out. @throws DivergedError if they differ
 */
export async function verifyCopy(source: ClusterEnd, target: ClusterEnd, revision: number): Promise<VerifiedCopy> {
  for (let attempt = 1; ; attempt++) {
    const expected = await hashOf(source, revision);
    const found = await Promise.all(
      target.endpoints.map((endpoint) => untilThere(() => keyspaceHash(target, endpoint, revision))),
    );
    const isBehind = found.some(({ compactRevision }) => compactRevision < expected.compactRevision);
    if (isBehind) await compactLike(target, expected.compactRevision);
    else if (found.every(({ compactRevision }) => compactRevision === expected.compactRevision)) {
      if (found.every(({ hash }) => hash === expected.hash)) return { revision, hash: expected.hash, by: "hash" };
      // etcd before 3.5.16 leaves out a deletion at the revision that is compacted, later ones do not.
      if (expected.compactRevision > 0) {
        await compareKeys(source, target, revision);
        return { revision, hash: expected.hash, by: "keys" };
      }
      throw new DivergedError(`The copy differs from its source at revision ${revision}: their hashes are not equal`);
    }
    if (attempt >= attemptsMax) throw new DivergedError(`The copy cannot be compared at revision ${revision}`);
    await systemClock.sleep(retryPauseMs);
  }
}

/** @throws DivergedError if users, roles or whether they are used differ. Passwords are compared by the number of changes. */
export async function verifyUsers(source: ClusterEnd, target: ClusterEnd): Promise<void> {
  const [users, copied, state, copiedState] = await Promise.all([
    usersAndRoles(source),
    usersAndRoles(target),
    authState(source),
    authState(target),
  ]);
  const isSameState =
    state === null ||
    copiedState === null ||
    (state.enabled === copiedState.enabled && state.revision === copiedState.revision);
  if (users !== copied || !isSameState) throw new DivergedError("Users or roles have changed since the snapshot");
}

async function hashOf(end: ClusterEnd, revision: number): Promise<KeyspaceHash> {
  let failure: unknown;
  for (const endpoint of end.endpoints) {
    try {
      return await untilThere(() => keyspaceHash(end, endpoint, revision));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** A member may be a little behind. */
async function untilThere<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const isBehind =
        error instanceof GrpcError && error.code === StatusCode.outOfRange && /future/.test(error.message);
      if (!isBehind || attempt >= attemptsMax) throw error;
      await systemClock.sleep(retryPauseMs / 10);
    }
  }
}

async function compactLike(target: ClusterEnd, revision: number): Promise<void> {
  try {
    await target.pool.tryEach((client) => client.compact(revision), callTimeoutMs);
  } catch (error) {
    // An attempt before has done it.
    if (!(error instanceof GrpcError) || error.code !== StatusCode.outOfRange) throw error;
  }
}

/** Every key that is there at the revision, with its revisions, version, lease and value. */
async function compareKeys(source: ClusterEnd, target: ClusterEnd, revision: number): Promise<void> {
  let key = Buffer.from([0]);
  for (;;) {
    const from = key;
    const page = ({ pool }: ClusterEnd): Promise<{ readonly kvs: readonly Uint8Array[]; readonly more: boolean }> =>
      pool.tryEach(
        (client) => client.range(from, { rangeEnd: Buffer.from([0]), limit: pageKeys, revision }),
        callTimeoutMs,
      );
    const [ours, theirs] = await Promise.all([page(source), page(target)]);
    const isEqual =
      ours.kvs.length === theirs.kvs.length && ours.kvs.every((kv, at) => Buffer.compare(kv, theirs.kvs[at]!) === 0);
    if (!isEqual)
      throw new DivergedError(`The copy differs from its source at revision ${revision}: their keys are not equal`);
    const last = ours.kvs.at(-1);
    if (!ours.more || last === undefined) return;
    key = Buffer.concat([decodeKeyValue(last).key, Buffer.from([0])]);
  }
}
