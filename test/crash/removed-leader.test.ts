/** The leader is removed through a follower: it applies the change, and stops before it can respond. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parseMemberId } from "../../src/base/member-id.ts";
import {
  MemberRemoveRequestSchema,
  MemberRemoveResponseSchema,
} from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { AgentsInProcess } from "./agents-in-process.ts";

let members: AgentsInProcess;

beforeEach(async () => {
  members = await AgentsInProcess.start("127.77.25.205", ["--strict-reconfig-check=false"]);
});

afterEach(() => members.remove());

it("A12: a follower that forwards the removal of the leader reports that it was removed", async () => {
  const leader = parseMemberId((await members.clients[0]!.maintenance.status()).leader!);
  const ids = members.agents.map((agent) => parseMemberId(agent!.memberId));
  const follower = ids.findIndex((id) => id !== leader);
  const request = toBinary(MemberRemoveRequestSchema, create(MemberRemoveRequestSchema, { ID: leader }));
  const bytes = await members.clients[follower]!.grpc.unary("/etcdserverpb.Cluster/MemberRemove", request, {
    timeoutMs: 10_000,
  });
  const answer = fromBinary(MemberRemoveResponseSchema, bytes);
  expect(answer.members.map(({ ID }) => ID)).toEqual(
    ids.filter((id) => id !== leader).sort((a, b) => (a < b ? -1 : 1)),
  );
  expect(answer.header?.memberId).toBe(ids[follower]);
});
