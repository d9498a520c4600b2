/** etcd's cluster and maintenance API: members, status, snapshots. Every member answers for itself where it matters. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Member,
  MemberListRequestSchema,
  MemberListResponseSchema,
  SnapshotRequestSchema,
  SnapshotResponseSchema,
  StatusRequestSchema,
  type StatusResponse,
  StatusResponseSchema,
} from "../raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import type { CallOptions } from "./client-stream.ts";
import type { GrpcClient, UnaryOptions } from "./grpc-client.ts";

const defaults: CallOptions = { timeoutMs: 5_000 };

/** Membership as a majority has it, unless `linearizable` is false: then as the member asked has it. */
export async function memberList(
  grpc: GrpcClient,
  linearizable = true,
  options: CallOptions = defaults,
): Promise<readonly Member[]> {
  const request = toBinary(MemberListRequestSchema, create(MemberListRequestSchema, { linearizable }));
  const answer = await grpc.unary("/etcdserverpb.Cluster/MemberList", request, read(options));
  return fromBinary(MemberListResponseSchema, answer).members;
}

/** What the member behind the client's current endpoint says of itself: use a client with one endpoint. */
export async function memberStatus(grpc: GrpcClient, options: CallOptions = defaults): Promise<StatusResponse> {
  const request = toBinary(StatusRequestSchema, create(StatusRequestSchema));
  return fromBinary(StatusResponseSchema, await grpc.unary("/etcdserverpb.Maintenance/Status", request, read(options)));
}

/** The database file of the member asked, piece by piece; the last 32 bytes are the SHA-256 of the rest. */
export async function* snapshot(grpc: GrpcClient, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
  const stream = await grpc.stream("/etcdserverpb.Maintenance/Snapshot", options);
  await stream.send(toBinary(SnapshotRequestSchema, create(SnapshotRequestSchema)));
  stream.end();
  for await (const message of stream) yield fromBinary(SnapshotResponseSchema, message).blob;
}

function read(options: CallOptions): UnaryOptions {
  return { ...options, idempotent: true };
}
