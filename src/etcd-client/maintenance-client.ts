/** etcd's maintenance API. Each member answers for itself: use a channel to one endpoint. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { formatMemberId, parseMemberId } from "../base/member-id.ts";
import {
  Maintenance,
  SnapshotRequestSchema,
  SnapshotResponseSchema,
} from "../raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { type CallChannel, callMethod } from "./call-channel.ts";
import type { CallOptions } from "./client-stream.ts";

export type MemberStatus = {
  readonly memberId: string;
  /** Null when it knows of none. */
  readonly leader: string | null;
  readonly revision: number;
  readonly raftIndex: number;
  readonly raftAppliedIndex: number;
  readonly raftTerm: number;
  readonly dbSizeBytes: number;
  readonly version: string;
  /** Alarms and errors, such as `memberID:1 alarm:NOSPACE `. */
  readonly errors: readonly string[];
};

export class MaintenanceClient {
  readonly #channel: CallChannel;
  readonly #options: CallOptions;

  constructor(channel: CallChannel, options: CallOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  async status(): Promise<MemberStatus> {
    const options = { ...this.#options, idempotent: true };
    const status = await callMethod(this.#channel, Maintenance.method.status, {}, options);
    return {
      memberId: formatMemberId(status.header?.memberId ?? 0n),
      leader: status.leader === 0n ? null : formatMemberId(status.leader),
      revision: Number(status.header?.revision ?? 0n),
      raftIndex: Number(status.raftIndex),
      raftAppliedIndex: Number(status.raftAppliedIndex),
      raftTerm: Number(status.raftTerm),
      dbSizeBytes: Number(status.dbSize),
      version: status.version,
      errors: status.errors,
    };
  }

  /** Only the leader takes this. */
  async moveLeader(memberId: string): Promise<void> {
    await callMethod(
      this.#channel,
      Maintenance.method.moveLeader,
      { targetID: parseMemberId(memberId) },
      this.#options,
    );
  }

  /** The member's database file, in pieces; the last 32 bytes are the SHA-256 of the rest. */
  async *snapshot(): AsyncGenerator<Uint8Array> {
    const stream = await this.#channel.stream("/etcdserverpb.Maintenance/Snapshot", this.#options);
    await stream.send(toBinary(SnapshotRequestSchema, create(SnapshotRequestSchema)));
    stream.end();
    for await (const message of stream) yield fromBinary(SnapshotResponseSchema, message).blob;
  }
}
