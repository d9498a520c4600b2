/**
 * The bodies of commands that are not a client's own request bytes. Where etcd has an equivalent message, the bytes
 * are that message's, extended by fields that etcd does not have, so that one decoder handles both.
 */
import { formatMemberId, parseMemberId } from "../../base/member-id.ts";
import { WireReader, WireWriter } from "../api/wire.ts";
import type { MemberId, Term } from "../raft/entry.ts";
import { type Alarm, AlarmType } from "./apply-result.ts";
import type { ChangeId } from "./change-id.ts";
import type { LeaseId } from "./lease-table.ts";
import type { Checkpoint } from "./lessor.ts";

export type LeaseGrantBody = { readonly ttlSeconds: number; readonly id: LeaseId };

/**
 * `leaderTerm` is 0 for a client's revoke. For leases that the leader found expired it is the leader's term: an entry
 * of a deposed leader that was appended under a later term must not revoke leases that were renewed since.
 */
export type LeaseRevokeBody = { readonly ids: readonly LeaseId[]; readonly leaderTerm: Term };
export type LeaseCheckpointBody = { readonly checkpoints: readonly Checkpoint[]; readonly leaderTerm: Term };

/** etcdserverpb.AlarmRequest.AlarmAction. */
export const AlarmAction = { get: 0, activate: 1, deactivate: 2 } as const;
export type AlarmBody = { readonly action: number; readonly alarm: Alarm };

export type MemberAttributesBody = {
  readonly id: MemberId;
  readonly name: string;
  readonly clientUrls: readonly string[];
};
/** `learner: false` = the member is to be promoted as soon as possible. */
export type MemberUpdateBody = {
  readonly id: MemberId;
  /** Recorded once the change is applied. Older members do not write it. */
  readonly changeId?: ChangeId;
  readonly peerUrls?: readonly string[];
  readonly learner?: boolean;
};

/** The target version of a downgrade; empty = the downgrade is cancelled. */
export type DowngradeBody = { readonly target: string };

export type ProtocolVersionBody = { readonly version: number };

/** version = 1. */
export function encodeProtocolVersion({ version }: ProtocolVersionBody): Uint8Array {
  const writer = new WireWriter(8);
  writer.intUnlessZero(0x08, version);
  return writer.copy();
}

export function decodeProtocolVersion(bytes: Uint8Array): ProtocolVersionBody {
  let version = 0;
  eachField(bytes, 1, (reader, tag) => {
    if (tag !== 0x08) return false;
    version = reader.int64();
    return true;
  });
  return { version };
}

/** etcdserverpb.LeaseGrantRequest: TTL = 1, ID = 2. */
export function encodeLeaseGrant(body: LeaseGrantBody): Uint8Array {
  const writer = new WireWriter(32);
  writer.intUnlessZero(0x08, body.ttlSeconds);
  writer.bigIntUnlessZero(0x10, body.id);
  return writer.copy();
}

export function decodeLeaseGrant(bytes: Uint8Array): LeaseGrantBody {
  let ttlSeconds = 0;
  let id = 0n;
  eachField(bytes, 2, (reader, tag) => {
    if (tag === 0x08) ttlSeconds = reader.int64();
    else if (tag === 0x10) id = reader.bigInt64();
    else return false;
    return true;
  });
  return { ttlSeconds, id };
}

/** etcdserverpb.LeaseRevokeRequest with its ID = 1 repeated; leaderTerm = 15. */
export function encodeLeaseRevoke(body: LeaseRevokeBody): Uint8Array {
  const writer = new WireWriter(16 + body.ids.length * 11);
  for (const id of body.ids) writer.bigIntField(0x08, id);
  writer.intUnlessZero(0x78, body.leaderTerm);
  return writer.copy();
}

export function decodeLeaseRevoke(bytes: Uint8Array): LeaseRevokeBody {
  const ids: LeaseId[] = [];
  let leaderTerm = 0;
  eachField(bytes, 1, (reader, tag) => {
    if (tag === 0x08) ids.push(reader.bigInt64());
    else if (tag === 0x78) leaderTerm = reader.int64();
    else return false;
    return true;
  });
  return { ids, leaderTerm };
}

/** etcdserverpb.LeaseCheckpointRequest: checkpoints = 1 {ID = 1, remaining_TTL = 2}; leaderTerm = 15. */
export function encodeLeaseCheckpoint(body: LeaseCheckpointBody): Uint8Array {
  const writer = new WireWriter(16 + body.checkpoints.length * 16);
  for (const { id, remainingSeconds } of body.checkpoints) {
    const start = writer.beginNested(0x0a);
    writer.bigIntUnlessZero(0x08, id);
    writer.intUnlessZero(0x10, remainingSeconds);
    writer.endNested(start);
  }
  writer.intUnlessZero(0x78, body.leaderTerm);
  return writer.copy();
}

export function decodeLeaseCheckpoint(bytes: Uint8Array): LeaseCheckpointBody {
  const checkpoints: Checkpoint[] = [];
  let leaderTerm = 0;
  eachField(bytes, 1, (reader, tag) => {
    if (tag === 0x0a) checkpoints.push(decodeCheckpoint(reader.view()));
    else if (tag === 0x78) leaderTerm = reader.int64();
    else return false;
    return true;
  });
  return { checkpoints, leaderTerm };
}

function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  let id = 0n;
  let remainingSeconds = 0;
  eachField(bytes, 2, (reader, tag) => {
    if (tag === 0x08) id = reader.bigInt64();
    else if (tag === 0x10) remainingSeconds = reader.int64();
    else return false;
    return true;
  });
  return { id, remainingSeconds };
}

/** etcdserverpb.AlarmRequest: action = 1, memberID = 2, alarm = 3. */
export function encodeAlarm(body: AlarmBody): Uint8Array {
  const writer = new WireWriter(32);
  writer.intUnlessZero(0x08, body.action);
  writer.bigIntUnlessZero(0x10, parseMemberId(body.alarm.member));
  writer.intUnlessZero(0x18, body.alarm.type);
  return writer.copy();
}

export function decodeAlarm(bytes: Uint8Array): AlarmBody {
  let action = 0;
  let member = 0n;
  let type: number = AlarmType.none;
  eachField(bytes, 3, (reader, tag) => {
    if (tag === 0x08) action = reader.int32();
    else if (tag === 0x10) member = reader.bigUint64();
    else if (tag === 0x18) type = reader.int32();
    else return false;
    return true;
  });
  return { action, alarm: { member: formatMemberId(member), type: type as AlarmType } };
}

export function encodeJson(body: MemberAttributesBody | MemberUpdateBody | DowngradeBody): Uint8Array {
  return Buffer.from(JSON.stringify(body));
}

/** The bytes come from `encodeJson` of a member of the same cluster. */
export function decodeJson<Body extends MemberAttributesBody | MemberUpdateBody | DowngradeBody>(
  bytes: Uint8Array,
): Body {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as Body;
}

/** `read` returns false for unknown tags. @throws WireError when the bytes are malformed. */
function eachField(bytes: Uint8Array, knownUpTo: number, read: (reader: WireReader, tag: number) => boolean): void {
  const reader = new WireReader(bytes);
  while (reader.offset < bytes.length) {
    const tag = reader.tag();
    if (!read(reader, tag)) reader.skip(tag, knownUpTo);
  }
  reader.finish(bytes.length);
}
