/**
 * Presents our store as the buckets of etcd's database (server/storage/schema). Keys, leases, compaction marks and
 * users are stored in etcd's encoding anyway; members and alarms are re-encoded.
 *
 * The file has the contents of etcd 3.5: no `storageVersion` (3.6 takes that for 3.5) and no cluster version, which a
 * restored cluster decides again, so that any etcd from 3.4 on can be started from it.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import { assert } from "../../base/assert.ts";
import { parseMemberId } from "../../base/member-id.ts";
import { AlarmMemberSchema } from "../api/gen/etcdserverpb/rpc_pb.ts";
import type { BucketSource } from "../bbolt/database-writer.ts";
import type { Metadata, ReadSnapshot } from "../mvcc/backend/backend.ts";
import { revisionKeyLength, writeBigEndian, writeRevisionKey } from "../mvcc/revision.ts";
import type { Configuration } from "../raft/configuration.ts";
import { AlarmStore } from "../state-machine/alarm-store.ts";
import { AlarmType } from "../state-machine/apply-result.ts";
import type { Member } from "../state-machine/membership.ts";
import { MembershipStore } from "../state-machine/membership-store.ts";

export const EtcdBucket = {
  alarm: "alarm",
  auth: "auth",
  authRoles: "authRoles",
  authUsers: "authUsers",
  cluster: "cluster",
  key: "key",
  lease: "lease",
  members: "members",
  membersRemoved: "members_removed",
  meta: "meta",
} as const;

/** Buckets whose keys and values are the same in both formats. */
export const sharedBuckets: readonly string[] = [EtcdBucket.auth, EtcdBucket.authRoles, EtcdBucket.authUsers];
/** Keys of the meta bucket that are the same. */
export const sharedMetaKeys: readonly string[] = ["scheduledCompactRev", "finishedCompactRev"];

/** Entries per slice: what one call of a feed does before it yields to the event loop. */
const revisionsPerSlice = 500;
const bytesPerSlice = 256 * 1024;
const noBytes = new Uint8Array(0);

type Entry = readonly [key: Uint8Array, value: Uint8Array];

/** Sorted by name. */
export function etcdBuckets(view: ReadSnapshot): BucketSource[] {
  const metadata = metadataOf(view);
  const alarms = new AlarmStore(metadata);
  alarms.load();
  const membership = new MembershipStore(metadata);
  membership.load();
  const text = (bucket: string): Entry[] => metadata.entries(bucket).map(([key, value]) => [Buffer.from(key), value]);
  const entries: Record<string, Entry[]> = {
    [EtcdBucket.alarm]: alarms.list(AlarmType.none).map((alarm) => [encodeAlarm(alarm), noBytes]),
    [EtcdBucket.cluster]: [],
    [EtcdBucket.lease]: metadata.entries(EtcdBucket.lease).map(([id, lease]) => [Buffer.from(id, "hex"), lease]),
    [EtcdBucket.members]: membership.list().map((member) => [Buffer.from(etcdId(member.id)), encodeMember(member)]),
    [EtcdBucket.membersRemoved]: membership.removedIds().map((id) => [Buffer.from(etcdId(id)), Buffer.from("removed")]),
    [EtcdBucket.meta]: metaEntries(view, metadata, membership.configuration),
    ...Object.fromEntries(sharedBuckets.map((bucket) => [bucket, text(bucket)])),
  };
  const small = Object.entries(entries).map(([name, list]) => ({ name, open: listFeed(list) }));
  return [...small, { name: EtcdBucket.key, open: revisionFeed(view) }].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function metaEntries(view: ReadSnapshot, metadata: Metadata, configuration: Configuration): Entry[] {
  const marks = sharedMetaKeys.flatMap((key): Entry[] => {
    const value = metadata.get(EtcdBucket.meta, key);
    return value === undefined ? [] : [[Buffer.from(key), value]];
  });
  return [
    [Buffer.from("confState"), encodeConfiguration(configuration)],
    [Buffer.from("consistent_index"), bigEndian(view.consistentIndex)],
    [Buffer.from("term"), bigEndian(view.consistentTerm)],
    ...marks,
  ];
}

/** The metadata of a view, for the stores that can read it. */
function metadataOf(view: ReadSnapshot): Metadata {
  const buckets = new Map<string, Map<string, Uint8Array>>();
  for (const [bucket, key, value] of view.metadata()) {
    let entries = buckets.get(bucket);
    if (entries === undefined) buckets.set(bucket, (entries = new Map()));
    entries.set(key, value.slice());
  }
  const readOnly = (): never => {
    assert(false, "a view is not written to");
  };
  return {
    get: (bucket, key) => buckets.get(bucket)?.get(key),
    entries: (bucket) => [...(buckets.get(bucket) ?? [])],
    put: readOnly,
    delete: readOnly,
  };
}

function listFeed(entries: Entry[]): BucketSource["open"] {
  entries.sort(([a], [b]) => Buffer.compare(a, b));
  return () => {
    let at = 0;
    return (add) => {
      for (const end = Math.min(entries.length, at + revisionsPerSlice); at < end; at++) add(...entries[at]!);
      return at < entries.length;
    };
  };
}

function revisionFeed(view: ReadSnapshot): BucketSource["open"] {
  return () => {
    const key = new Uint8Array(revisionKeyLength + 1);
    const putKey = key.subarray(0, revisionKeyLength);
    let from: [main: number, sub: number] = [0, 0];
    return (add) => {
      let left = revisionsPerSlice;
      let leftBytes = bytesPerSlice;
      let more = false;
      view.scan(from[0], from[1], (main, sub, tombstone, value) => {
        if (left === 0 || leftBytes <= 0) {
          from = [main, sub];
          more = true;
          return false;
        }
        left--;
        leftBytes -= value.length;
        writeRevisionKey(key, main, sub, tombstone);
        add(tombstone ? key : putKey, value);
        return true;
      });
      return more;
    };
  };
}

/** etcd's types.ID: hexadecimal without leading zeros. */
function etcdId(id: string): string {
  return parseMemberId(id).toString(16);
}

function encodeAlarm({ member, type }: { readonly member: string; readonly type: AlarmType }): Uint8Array {
  return toBinary(AlarmMemberSchema, create(AlarmMemberSchema, { memberID: parseMemberId(member), alarm: type }));
}

/** membership.Member as written by Go: the id is a JSON number of 64 bits. */
function encodeMember({ id, name, peerUrls, clientUrls, learner }: Member): Uint8Array {
  const rest = {
    peerURLs: peerUrls,
    ...(learner ? { isLearner: true } : {}),
    ...(name === "" ? {} : { name }),
    ...(clientUrls.length === 0 ? {} : { clientURLs: clientUrls }),
  };
  return Buffer.from(`{"id":${parseMemberId(id)},${JSON.stringify(rest).slice(1)}`);
}

/** raftpb.ConfState as written by Go. */
function encodeConfiguration({ voters, votersOutgoing, learners }: Configuration): Uint8Array {
  const list = (name: string, ids: readonly string[]): string[] =>
    ids.length === 0 ? [] : [`"${name}":[${ids.map(parseMemberId).join()}]`];
  const fields = [
    ...list("voters", voters),
    ...list("learners", learners),
    ...list("voters_outgoing", votersOutgoing),
    '"auto_leave":false',
  ];
  return Buffer.from(`{${fields.join()}}`);
}

function bigEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeBigEndian(bytes, 0, value);
  return bytes;
}
