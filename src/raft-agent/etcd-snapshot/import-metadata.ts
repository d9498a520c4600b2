/**
 * Imports the metadata of a snapshot: leases, alarms, users and roles. Members are omitted: a restored cluster has its
 * own.
 */

import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { errorText } from "../../base/haplan-error.ts";
import { formatMemberId } from "../../base/member-id.ts";
import { RoleSchema, UserSchema } from "../api/gen/authpb/auth_pb.ts";
import { AlarmMemberSchema } from "../api/gen/etcdserverpb/rpc_pb.ts";
import type { DatabaseReader } from "../bbolt/database-reader.ts";
import { damagedDatabase } from "../bbolt/page-format.ts";
import type { Metadata } from "../mvcc/backend/backend.ts";
import { AlarmStore } from "../state-machine/alarm-store.ts";
import { AlarmType } from "../state-machine/apply-result.ts";
import { LeaseTable } from "../state-machine/lease-table.ts";
import { EtcdBucket, sharedBuckets } from "./etcd-buckets.ts";

export type ImportedMetadata = {
  readonly leases: number;
  /** Messages about what was not imported. */
  readonly notices: readonly string[];
};

/** @throws HaplanError `bbolt/damaged` */
export function importMetadata(database: DatabaseReader, metadata: Metadata): ImportedMetadata {
  const notices: string[] = [];
  for (const bucket of sharedBuckets) {
    for (const { key, value } of database.entries(bucket)) {
      checkAuthEntry(bucket, value);
      metadata.put(bucket, key.toString(), value);
    }
  }
  const leases = importLeases(database, metadata);
  importAlarms(database, new AlarmStore(metadata), notices);
  const known: readonly string[] = Object.values(EtcdBucket);
  for (const bucket of database.bucketNames) {
    if (!known.includes(bucket)) notices.push(`the bucket "${bucket}" is not one of etcd's and was omitted`);
  }
  return { leases, notices };
}

function importLeases(database: DatabaseReader, metadata: Metadata): number {
  const ids: bigint[] = [];
  for (const { key, value } of database.entries(EtcdBucket.lease)) {
    if (key.length !== 8) throw damagedDatabase("a lease has no id");
    metadata.put(EtcdBucket.lease, key.toString("hex"), value);
    ids.push(key.readBigInt64BE());
  }
  const table = new LeaseTable(metadata);
  try {
    table.load();
  } catch (error) {
    throw damagedDatabase(`a lease cannot be read: ${errorText(error)}`);
  }
  const missing = ids.find((id) => !table.has(id));
  if (missing !== undefined) throw damagedDatabase(`lease ${missing.toString(16)} has the id of another one`);
  return ids.length;
}

/** A full disk was the old member's; damaged data is part of the data. */
function importAlarms(database: DatabaseReader, alarms: AlarmStore, notices: string[]): void {
  for (const { key } of database.entries(EtcdBucket.alarm)) {
    const { memberID, alarm } = decode(AlarmMemberSchema, key, "an alarm");
    const member = formatMemberId(memberID);
    if (alarm === AlarmType.corrupt) {
      alarms.activate({ member, type: AlarmType.corrupt });
      notices.push(`the CORRUPT alarm of member ${member} is active: inspect the data before you disarm it`);
    } else notices.push(`the NOSPACE alarm of member ${member} was omitted: it concerned another disk`);
  }
}

/** The auth store reads users and roles at every start, so unreadable ones must be rejected here. */
function checkAuthEntry(bucket: string, value: Uint8Array): void {
  if (bucket === EtcdBucket.authUsers) decode(UserSchema, value, "a user");
  else if (bucket === EtcdBucket.authRoles) decode(RoleSchema, value, "a role");
}

function decode<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array, what: string): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw damagedDatabase(`${what} cannot be read: ${errorText(error)}`);
  }
}
