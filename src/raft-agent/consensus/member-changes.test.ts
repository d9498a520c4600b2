/** Changes whose response is lost, at every kind of member that may then receive the retry. */

import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall, self } from "../../../test/support/single-member.ts";
import { parseMemberId } from "../../base/member-id.ts";
import {
  MemberAddRequestSchema,
  MemberAddResponseSchema,
  MemberPromoteRequestSchema,
  MemberRemoveRequestSchema,
  MemberUpdateRequestSchema,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import { decodeHaplan, encodeHaplan, encodingOf, haplanMethods, haplanPath } from "../api/haplan-messages.ts";
import { StatusCode } from "../api/status-code.ts";
import type { MemberId } from "../raft/entry.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import type { PeerResponse } from "./peer-request.ts";

const leaderId: MemberId = "1111111111111111";
const nextLeader: MemberId = "2222222222222222";
const learner: MemberId = "3333333333333333";

type Request = { readonly path: string; readonly bytes: Uint8Array };

// biome-ignore lint/suspicious/noExplicitAny: any message of etcd's
function request<Schema extends GenMessage<any>>(
  name: string,
  schema: Schema,
  fields: MessageInitShape<Schema>,
): Request {
  return { path: `/etcdserverpb.Cluster/${name}`, bytes: toBinary(schema, create(schema, fields)) };
}

const learnerId = parseMemberId(learner);
const add = request("MemberAdd", MemberAddRequestSchema, { peerURLs: ["http://127.0.82.4:2380"], isLearner: true });
const requests: readonly Request[] = [
  add,
  request("MemberRemove", MemberRemoveRequestSchema, { ID: learnerId }),
  request("MemberUpdate", MemberUpdateRequestSchema, { ID: learnerId, peerURLs: ["http://127.0.82.5:2380"] }),
  request("MemberPromote", MemberPromoteRequestSchema, { ID: learnerId }),
  {
    path: "/haplan.v1.Haplan/ChangeMembers",
    bytes: Buffer.from(
      JSON.stringify({ voters: [self], learners: [learner], add: [{ peerUrls: ["http://127.0.82.4:2380"] }] }),
    ),
  },
];

type Trio = {
  /** The member that clients call, and two members that it sees as leader, one after the other. */
  readonly asked: Harness;
  readonly leader: Harness;
  readonly next: Harness;
  /** Entries of the leader, in its log and its successor's. */
  readonly entries: number[];
  /** What happens to the leader's responses: all arrive, or none while the change is applied. */
  answers: "arrive" | "are lost" | "are lost and another member leads";
  /** Entries that the successor has in its log but has not applied; null when it applies at once. */
  unapplied: (() => void)[] | null;
};

/** Whatever one leader applies, the next one has in its log and applies as well. */
async function createTrio(): Promise<Trio> {
  const [asked, leader, next] = [await createHarness(), await createHarness(), await createHarness()];
  const trio: Trio = { asked, leader, next, entries: [], answers: "arrive", unapplied: null };
  for (const harness of [leader, next]) bringLearner(harness);
  const { services } = leader;
  const follow = (index: number, apply: () => void): void => {
    const run = (): void => {
      apply();
      next.consensus.index = index;
    };
    if (trio.unapplied === null) run();
    else trio.unapplied.push(run);
  };
  const { applyEntry, applyConfiguration } = services;
  services.applyEntry = (index, term, payload) => {
    trio.entries.push(index);
    applyEntry.call(services, index, term, payload);
    follow(index, () => next.services.applyEntry(index, term, payload));
  };
  services.applyConfiguration = (index, term, ...change) => {
    trio.entries.push(index);
    applyConfiguration.call(services, index, term, ...change);
    follow(index, () => next.services.applyConfiguration(index, term, ...change));
  };
  asked.consensus.leader = leaderId;
  asked.consensus.peers.set(nextLeader, next.services);
  asked.consensus.peers.set(leaderId, {
    servePeer: (from, bytes, done) => {
      const { answers } = trio;
      trio.answers = "arrive";
      services.servePeer(from, bytes, (answer) => {
        if (answers === "are lost and another member leads") asked.consensus.leader = nextLeader;
        (done as (answer: PeerResponse | null) => void)(answers === "arrive" ? answer : null);
      });
    },
  });
  return trio;
}

function bringLearner(harness: Harness): void {
  const { membership } = harness.services.machine;
  const added = [{ id: learner, peerUrls: ["http://127.0.82.3:2380"], learner: true }];
  membership.change({ voters: [self], votersOutgoing: [], learners: [learner] }, { added });
  harness.consensus.progress.push({ member: learner, matchIndex: 1_000, active: true });
  // @ts-expect-error a limit for the test only
  harness.services.context.limits.learnersMax = 9;
}

const statusOf = ({ code, text }: { code: StatusCode; text: string }) => ({ code, text });
const ok = { code: StatusCode.ok, text: "" };
const urlsOf = (harness: Harness): string[] =>
  harness.services.machine.membership.list().flatMap(({ peerUrls }) => peerUrls);
const addedTo = (call: RecordedCall): bigint | undefined =>
  fromBinary(MemberAddResponseSchema, call.messages[0]!).member?.ID;

describe("a membership change", () => {
  for (const { path, bytes } of requests) {
    const name = path.split("/").at(-1);
    it(`A12: ${name} is applied once and answered when its response was lost`, async () => {
      const trio = await createTrio();
      trio.answers = "are lost";
      expect((await trio.asked.unary(path, bytes)).status).toEqual(ok);
      expect(trio.entries.length).toBe(1);
    });

    it(`A12: ${name} is answered by the next leader when the old one's response was lost`, async () => {
      const trio = await createTrio();
      trio.answers = "are lost and another member leads";
      const before = urlsOf(trio.next);
      expect((await trio.asked.unary(path, bytes)).status).toEqual(ok);
      expect(trio.entries.length).toBe(1);
      expect(urlsOf(trio.next)).toEqual(urlsOf(trio.leader));
      if (name !== "MemberPromote") expect(urlsOf(trio.next)).not.toEqual(before);
    });
  }

  it("A12, A low: a retried MemberAdd returns the id first assigned to the member", async () => {
    const trio = await createTrio();
    trio.answers = "are lost and another member leads";
    const call = await trio.asked.unary(add.path, add.bytes);
    const ids = trio.next.services.machine.membership.list().map(({ id }) => parseMemberId(id));
    expect(ids).toContain(addedTo(call));
    expect(ids.length).toBe(3);
  });

  it("A12: a new leader decides nothing before everything its predecessors committed is applied", async () => {
    const trio = await createTrio();
    const { next } = trio;
    trio.answers = "are lost and another member leads";
    trio.unapplied = [];
    next.consensus.term = 3;
    let answered = false;
    const call = trio.asked.unary(add.path, add.bytes).then((done) => {
      answered = true;
      return done;
    });
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(answered).toBe(false);
    for (const run of trio.unapplied) run();
    next.services.applyEntry(++next.consensus.index, 3, new Uint8Array(0));
    next.services.applied(next.consensus.index);
    expect((await call).status).toEqual(ok);
    expect(urlsOf(next)).toEqual(urlsOf(trio.leader));
  });

  it("A12: a deposed leader does not mistake another leader's entry for its change", async () => {
    const { leader, services } = await createTrio().then((trio) => ({ ...trio, services: trio.leader.services }));
    leader.consensus.swallowProposals = true;
    const results: unknown[] = [];
    const { context } = services;
    const target = { voters: [self], learners: [] };
    context.memberChanges.change(
      "c1",
      () => ({ kind: "configuration", target, added: [] }),
      (result) => results.push(result),
    );
    expect(results).toEqual([]);
    leader.consensus.leader = leaderId;
    leader.consensus.term = 3;
    leader.consensus.index++;
    services.leadershipChanged();
    services.applyEntry(leader.consensus.index, 3, new Uint8Array(0));
    services.applied(leader.consensus.index);
    expect(results).toEqual([EtcdErrors.notLeader]);
  });

  it("A12: of two concurrent requests for the same peer URL one succeeds", async () => {
    const { leader } = await createTrio();
    const both = await Promise.all([leader.unary(add.path, add.bytes), leader.unary(add.path, add.bytes)]);
    expect(both.map(({ status }) => status)).toEqual([ok, statusOf(EtcdErrors.peerUrlExists)]);
  });

  it("a leader of the previous release is called for ChangeMembers in JSON, and the client answered in protobuf", async () => {
    const { asked, leader } = await createTrio();
    const messages: string[] = [];
    asked.consensus.peers.set(leaderId, {
      servePeer: (from, request, done) => {
        messages.push(Buffer.from(request.message).toString());
        leader.services.servePeer(from, request, done);
      },
    });
    const { changeMembers } = haplanMethods;
    const wanted = { voters: [self], learners: [learner], add: [{ peerUrls: ["http://127.0.82.4:2380"] }] };
    const call = await asked.unary(haplanPath(changeMembers), encodeHaplan(changeMembers.input, wanted, "protobuf"));
    expect(call.status).toEqual(ok);
    expect(messages.map((message) => JSON.parse(message))).toMatchObject([wanted]);
    expect(encodingOf(call.messages[0]!)).toBe("protobuf");
    expect(decodeHaplan(changeMembers.output, call.messages[0]!).members.length).toBe(3);
  });
});
