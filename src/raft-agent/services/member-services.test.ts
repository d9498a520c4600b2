import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall, self } from "../../../test/support/single-member.ts";
import { parseMemberId } from "../../base/member-id.ts";
import {
  AlarmRequest_AlarmAction,
  AlarmRequestSchema,
  AlarmResponseSchema,
  AlarmType,
  HashKVRequestSchema,
  HashKVResponseSchema,
  LeaseGrantRequestSchema,
  LeaseGrantResponseSchema,
  LeaseLeasesResponseSchema,
  LeaseRevokeRequestSchema,
  LeaseTimeToLiveRequestSchema,
  LeaseTimeToLiveResponseSchema,
  MemberAddRequestSchema,
  MemberAddResponseSchema,
  MemberListRequestSchema,
  MemberListResponseSchema,
  MemberPromoteRequestSchema,
  MemberRemoveRequestSchema,
  MemberUpdateRequestSchema,
  MoveLeaderRequestSchema,
  StatusResponseSchema,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import { decodeHaplan, encodeHaplan, encodingOf, haplanMethods, haplanPath } from "../api/haplan-messages.ts";
import { decodeLeaseKeepAliveResponse, encodeLeaseKeepAliveRequest } from "../api/lease-keep-alive.ts";
import { encodePutRequest } from "../api/put.ts";
import { encodeRangeRequest, rangeRequest } from "../api/range.ts";
import { StatusCode } from "../api/status-code.ts";
import { promotableLearners } from "../consensus/member-rules.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";

const statusOf = (error: EtcdError): { code: StatusCode; text: string } => ({ code: error.code, text: error.text });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const url = (host: number): string[] => [`http://127.77.15.${host}:2380`];
const other = "1111111111111111";

function grant(harness: Harness, TTL: bigint, ID = 0n): Promise<RecordedCall> {
  const request = toBinary(LeaseGrantRequestSchema, create(LeaseGrantRequestSchema, { TTL, ID }));
  return harness.unary("/etcdserverpb.Lease/LeaseGrant", request);
}

function timeToLive(harness: Harness, ID: bigint, keys = false): Promise<RecordedCall> {
  const request = toBinary(LeaseTimeToLiveRequestSchema, create(LeaseTimeToLiveRequestSchema, { ID, keys }));
  return harness.unary("/etcdserverpb.Lease/LeaseTimeToLive", request);
}

async function keepAlive(harness: Harness, ...ids: bigint[]): Promise<RecordedCall> {
  const { call, handler } = harness.stream("/etcdserverpb.Lease/LeaseKeepAlive");
  for (const id of ids) handler.onMessage(encodeLeaseKeepAliveRequest({ id }));
  handler.onHalfClose();
  for (let i = 0; i < 20 && call.open; i++) await turn();
  return call;
}

const ttlOf = (call: RecordedCall): [bigint, bigint] => {
  const answer = fromBinary(LeaseTimeToLiveResponseSchema, call.messages[0]!);
  return [answer.TTL, answer.grantedTTL];
};

describe("lease service", () => {
  it("raises short TTLs, and rejects long ones and used ids", async () => {
    const harness = await createHarness();
    const answer = fromBinary(LeaseGrantResponseSchema, (await grant(harness, 1n)).messages[0]!);
    expect([answer.TTL, answer.ID > 0n]).toEqual([2n, true]);
    expect((await grant(harness, 10n, 7n)).status?.code).toBe(StatusCode.ok);
    expect((await grant(harness, 10n, 7n)).status).toEqual(statusOf(EtcdErrors.leaseExists));
    expect((await grant(harness, 9_000_000_001n)).status).toEqual(statusOf(EtcdErrors.leaseTtlTooLarge));
    const revoke = toBinary(LeaseRevokeRequestSchema, create(LeaseRevokeRequestSchema, { ID: 99n }));
    const refused = await harness.unary("/etcdserverpb.Lease/LeaseRevoke", revoke);
    expect(refused.status).toEqual(statusOf(EtcdErrors.leaseNotFound));
  });

  it("renews, counts down, and responds to unknown leases without an error", async () => {
    const harness = await createHarness();
    await grant(harness, 10n, 7n);
    harness.clock.nowMs += 4_500;
    expect(ttlOf(await timeToLive(harness, 7n))).toEqual([5n, 10n]);
    const renewed = await keepAlive(harness, 7n, 8n, 7n);
    expect(renewed.messages.map((message) => decodeLeaseKeepAliveResponse(message).ttl)).toEqual([10, 0, 10]);
    expect(renewed.status?.code).toBe(StatusCode.ok);
    expect(ttlOf(await timeToLive(harness, 7n))).toEqual([10n, 10n]);
    expect(ttlOf(await timeToLive(harness, 8n))).toEqual([-1n, 0n]);
  });

  it("deletes the keys of an expired lease", async () => {
    const harness = await createHarness();
    await grant(harness, 10n, 7n);
    await grant(harness, 20n, 8n);
    const plain = { value: Buffer.from("v"), prevKv: false, ignoreValue: false, ignoreLease: false };
    await harness.unary("/etcdserverpb.KV/Put", encodePutRequest({ ...plain, key: Buffer.from("k"), lease: 7n }));
    const answer = fromBinary(LeaseTimeToLiveResponseSchema, (await timeToLive(harness, 7n, true)).messages[0]!);
    expect(answer.keys.map((key) => Buffer.from(key).toString())).toEqual(["k"]);
    harness.clock.nowMs += 10_000;
    harness.services.tick();
    await turn();
    expect(harness.services.machine.store.get(Buffer.from("k"))).toBeUndefined();
    const { leases } = fromBinary(
      LeaseLeasesResponseSchema,
      (await harness.unary("/etcdserverpb.Lease/LeaseLeases", new Uint8Array(0))).messages[0]!,
    );
    expect(leases.map(({ ID }) => ID)).toEqual([8n]);
  });

  it("revokes leases with thousands of keys one per tick", async () => {
    const harness = await createHarness();
    const { store } = harness.services.machine;
    for (const id of [7n, 8n, 9n]) {
      await grant(harness, 10n, id);
      const txn = store.beginWrite();
      for (let key = 0; key < 1_500; key++) txn.put(Buffer.from(`${id}/${key}`), Buffer.from("v"), id);
      txn.end();
    }
    harness.clock.nowMs += 10_000;
    const left: number[] = [];
    for (let tick = 0; tick < 3; tick++) {
      harness.services.tick();
      await turn();
      left.push(store.keyCount);
    }
    expect(left).toEqual([1_500, 0, 0]);
  });

  it("calls the leader on behalf of a follower's clients, and responds under its own header", async () => {
    const leader = await createHarness();
    const follower = await createHarness();
    await grant(leader, 10n, 7n);
    follower.consensus.leader = other;
    follower.consensus.peers.set(other, leader.services);
    follower.services.leadershipChanged();
    expect(decodeLeaseKeepAliveResponse((await keepAlive(follower, 7n)).messages[0]!).ttl).toBe(10);
    expect(ttlOf(await timeToLive(follower, 7n))).toEqual([10n, 10n]);
  });

  it("serves a request to a lost leader itself once it leads", async () => {
    const harness = await createHarness();
    await grant(harness, 10n, 7n);
    harness.consensus.leader = other;
    harness.services.leadershipChanged();
    const asked = [timeToLive(harness, 7n), keepAlive(harness, 7n)] as const;
    harness.consensus.leader = self;
    harness.services.leadershipChanged();
    // A new leader adds an election timeout.
    expect(ttlOf(await asked[0])).toEqual([11n, 10n]);
    expect(decodeLeaseKeepAliveResponse((await asked[1]).messages[0]!).ttl).toBe(10);
  });

  it.each([
    ["in flight", 12_000, 0],
    ["applied", 12_000, 3],
    ["applied, and another one in flight", 15_000, 0],
  ])(
    "A4: a renewal is answered once the entry that clears the checkpoint is applied (%s)",
    async (_what, atMs, turns) => {
      const harness = await createHarness();
      await grant(harness, 24n, 7n);
      harness.clock.nowMs += 12_000;
      if (atMs > 12_000) {
        harness.services.tick();
        await turn();
        harness.clock.nowMs += atMs - 12_000;
      }
      harness.services.tick();
      for (let i = 0; i < turns; i++) await turn();
      // A response that waits for nothing arrives long before.
      harness.consensus.turnsToApply = 50;
      const { call, handler } = harness.stream("/etcdserverpb.Lease/LeaseKeepAlive");
      handler.onMessage(encodeLeaseKeepAliveRequest({ id: 7n }));
      while (call.messages.length === 0) await null;
      expect(decodeLeaseKeepAliveResponse(call.messages[0]!).ttl).toBe(24);
      expect(harness.services.machine.leases.get(7n)?.remainingSeconds).toBe(0);
      harness.consensus.leader = other;
      harness.services.leadershipChanged();
      harness.consensus.leader = self;
      harness.services.leadershipChanged();
      expect(harness.services.context.lessor.remainingMs(7n)).toBe(25_000);
    },
  );

  it("A4: nothing is promised until the clearing entry is applied, neither by KeepAlive nor by TimeToLive", async () => {
    const harness = await createHarness();
    await grant(harness, 24n, 7n);
    harness.clock.nowMs += 12_000;
    harness.services.tick();
    await turn();
    harness.consensus.swallowProposals = true;
    const { call, handler } = harness.stream("/etcdserverpb.Lease/LeaseKeepAlive");
    handler.onMessage(encodeLeaseKeepAliveRequest({ id: 7n }));
    for (let i = 0; i < 5; i++) await turn();
    expect([call.messages.length, call.status]).toEqual([0, null]);
    expect(ttlOf(await timeToLive(harness, 7n))).toEqual([12n, 24n]);
    harness.clock.nowMs += harness.services.context.proposer.limits.requestTimeoutMs;
    harness.services.tick();
    for (let i = 0; i < 5; i++) await turn();
    expect([call.messages.length, call.status]).toEqual([0, statusOf(EtcdErrors.timeout)]);
  });

  it("A4: a new leader counts from its predecessors' entries, once it has applied them", async () => {
    const harness = await createHarness();
    await grant(harness, 24n, 7n);
    harness.clock.nowMs += 12_000;
    harness.services.tick();
    await turn();
    const { consensus, services } = harness;
    consensus.leader = other;
    services.leadershipChanged();
    // Leads, but has not yet applied the clearing entry of the old term.
    consensus.leader = self;
    consensus.term = 3;
    services.leadershipChanged();
    expect(services.context.lessor.primary).toBe(false);
    services.machine.leases.checkpoint(7n, 0);
    await grant(harness, 24n, 8n);
    expect(services.context.lessor.remainingMs(7n)).toBe(25_000);
  });

  it("A4: a member that loses its leadership during a request does not report the lease as expired", async () => {
    const harness = await createHarness();
    await grant(harness, 24n, 7n);
    const answer = timeToLive(harness, 7n);
    harness.consensus.leader = other;
    harness.services.leadershipChanged();
    expect((await answer).status).toEqual(statusOf(EtcdErrors.timeout));
  });

  it("gives up on an unreachable leader when the request times out", async () => {
    const harness = await createHarness();
    harness.consensus.leader = other;
    harness.services.leadershipChanged();
    expect((await timeToLive(harness, 7n)).status).toEqual(statusOf(EtcdErrors.timeout));
    harness.consensus.leader = null;
    expect((await timeToLive(harness, 7n)).status).toEqual(statusOf(EtcdErrors.noLeader));
  });
});

const cluster = {
  add: (harness: Harness, peerURLs: string[], isLearner = false) =>
    harness.unary(
      "/etcdserverpb.Cluster/MemberAdd",
      toBinary(MemberAddRequestSchema, create(MemberAddRequestSchema, { peerURLs, isLearner })),
    ),
  remove: (harness: Harness, id: string) =>
    harness.unary(
      "/etcdserverpb.Cluster/MemberRemove",
      toBinary(MemberRemoveRequestSchema, create(MemberRemoveRequestSchema, { ID: parseMemberId(id) })),
    ),
  promote: (harness: Harness, id: string) =>
    harness.unary(
      "/etcdserverpb.Cluster/MemberPromote",
      toBinary(MemberPromoteRequestSchema, create(MemberPromoteRequestSchema, { ID: parseMemberId(id) })),
    ),
  update: (harness: Harness, id: string, peerURLs: string[]) =>
    harness.unary(
      "/etcdserverpb.Cluster/MemberUpdate",
      toBinary(MemberUpdateRequestSchema, create(MemberUpdateRequestSchema, { ID: parseMemberId(id), peerURLs })),
    ),
};

const addedId = (call: RecordedCall): string =>
  fromBinary(MemberAddResponseSchema, call.messages[0]!).member!.ID.toString(16).padStart(16, "0");

/** The member is up, has the whole log and is connected. */
function bringUp(harness: Harness, id: string): void {
  harness.consensus.progress.push({ member: id, matchIndex: 1_000, active: true });
  harness.consensus.connectedMs.set(id, 60_000);
  harness.services.machine.membership.update(id, { name: `m-${id}` });
}

describe("cluster service", () => {
  it("rejects invalid and used URLs, unknown members, and a second learner", async () => {
    const harness = await createHarness();
    expect((await cluster.add(harness, ["nonsense"])).status).toEqual(statusOf(EtcdErrors.badMemberUrls));
    expect((await cluster.add(harness, [])).status).toEqual(statusOf(EtcdErrors.badMemberUrls));
    expect((await cluster.add(harness, url(1))).status).toEqual(statusOf(EtcdErrors.peerUrlExists));
    const learner = addedId(await cluster.add(harness, url(2), true));
    expect((await cluster.add(harness, url(3), true)).status).toEqual(statusOf(EtcdErrors.tooManyLearners));
    expect((await cluster.remove(harness, other)).status).toEqual(statusOf(EtcdErrors.memberNotFound));
    expect((await cluster.promote(harness, other)).status).toEqual(statusOf(EtcdErrors.memberNotFound));
    expect((await cluster.promote(harness, self)).status).toEqual(statusOf(EtcdErrors.memberNotLearner));
    expect((await cluster.promote(harness, learner)).status).toEqual(statusOf(EtcdErrors.learnerNotReady));
    expect((await cluster.update(harness, other, url(5))).status).toEqual(statusOf(EtcdErrors.memberNotFound));
    expect((await cluster.update(harness, learner, url(1))).status).toEqual(statusOf(EtcdErrors.peerUrlExists));
    expect((await cluster.update(harness, learner, url(5))).status?.code).toBe(StatusCode.ok);
    expect(harness.services.machine.membership.get(learner)?.peerUrls).toEqual(url(5));
  });

  it("rejects removing the last member, and changes that would lose the quorum", async () => {
    const harness = await createHarness();
    expect((await cluster.remove(harness, self)).status).toEqual(statusOf(EtcdErrors.notEnoughStarted));
    await cluster.add(harness, url(2));
    expect((await cluster.add(harness, url(3))).status).toEqual(statusOf(EtcdErrors.notEnoughStarted));
  });

  it("grows from one voter to three without ever having two", async () => {
    const harness = await createHarness();
    const { membership } = harness.services.machine;
    const second = addedId(await cluster.add(harness, url(2)));
    bringUp(harness, second);
    harness.services.tick();
    await turn();
    expect(membership.configuration).toEqual({ voters: [self], votersOutgoing: [], learners: [second] });
    harness.clock.nowMs += 2_000;
    const third = addedId(await cluster.add(harness, url(3), true));
    bringUp(harness, third);
    expect((await cluster.promote(harness, third)).status?.code).toBe(StatusCode.ok);
    await turn();
    expect(membership.configuration.voters).toEqual([self, second, third].sort());
    expect(membership.list().some((member) => member.learner)).toBe(false);
    expect((await cluster.remove(harness, second)).status?.code).toBe(StatusCode.ok);
    expect(membership.isRemoved(second)).toBe(true);
    expect((await cluster.remove(harness, second)).status).toEqual(statusOf(EtcdErrors.memberNotFound));
  });

  it("lists members in id order, with the learner flag", async () => {
    const harness = await createHarness();
    await cluster.add(harness, url(2), true);
    const request = toBinary(MemberListRequestSchema, create(MemberListRequestSchema, { linearizable: true }));
    const call = await harness.unary("/etcdserverpb.Cluster/MemberList", request);
    const { header, members } = fromBinary(MemberListResponseSchema, call.messages[0]!);
    expect(header?.revision).toBe(0n);
    expect(members.map(({ ID }) => ID)).toEqual([...members.map(({ ID }) => ID)].sort((a, b) => (a < b ? -1 : 1)));
    expect(members.filter(({ isLearner }) => isLearner).length).toBe(1);
  });

  it("never promotes pending voters to an even number", () => {
    const progress = ["b", "c", "d"].map((member) => ({ member, matchIndex: 95, active: member !== "d" }));
    const facts = { self: "a", progress: [{ member: "a", matchIndex: 100, active: true }, ...progress] };
    expect(promotableLearners(facts, 1, ["b"])).toEqual([]);
    expect(promotableLearners(facts, 1, ["b", "c"])).toEqual(["b", "c"]);
    expect(promotableLearners(facts, 1, ["b", "d"])).toEqual([]);
    expect(promotableLearners(facts, 2, ["b", "c"])).toEqual(["b"]);
  });
});

describe("a learner", () => {
  it("serves serializable ranges and its status, and nothing else", async () => {
    const harness = await createHarness();
    harness.services.machine.membership.update(self, { learner: true });
    const key = Buffer.from("a");
    const range = (serializable: boolean): Promise<RecordedCall> =>
      harness.unary("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest(key, { serializable })));
    expect((await range(true)).status?.code).toBe(StatusCode.ok);
    expect((await range(false)).status).toEqual(statusOf(EtcdErrors.notSupportedForLearner));
    expect((await grant(harness, 5n)).status).toEqual(statusOf(EtcdErrors.notSupportedForLearner));
    const watch = harness.stream("/etcdserverpb.Watch/Watch");
    expect(watch.call.status).toEqual(statusOf(EtcdErrors.notSupportedForLearner));
    const status = await harness.unary("/etcdserverpb.Maintenance/Status", new Uint8Array(0));
    expect(fromBinary(StatusResponseSchema, status.messages[0]!).isLearner).toBe(true);
  });
});

describe("maintenance service", () => {
  it("reports a missing leader and alarms in its status", async () => {
    const harness = await createHarness();
    const memberID = parseMemberId(self);
    const activate = create(AlarmRequestSchema, {
      action: AlarmRequest_AlarmAction.ACTIVATE,
      memberID,
      alarm: AlarmType.CORRUPT,
    });
    const alarmed = await harness.unary("/etcdserverpb.Maintenance/Alarm", toBinary(AlarmRequestSchema, activate));
    expect(fromBinary(AlarmResponseSchema, alarmed.messages[0]!).alarms).toMatchObject([{ memberID, alarm: 2 }]);
    const list = toBinary(AlarmRequestSchema, create(AlarmRequestSchema));
    const listed = await harness.unary("/etcdserverpb.Maintenance/Alarm", list);
    expect(fromBinary(AlarmResponseSchema, listed.messages[0]!).alarms).toMatchObject([{ memberID, alarm: 2 }]);
    harness.consensus.leader = null;
    const call = await harness.unary("/etcdserverpb.Maintenance/Status", new Uint8Array(0));
    const status = fromBinary(StatusResponseSchema, call.messages[0]!);
    expect(status.errors).toEqual(["etcdserver: no leader", `memberID:${memberID} alarm:CORRUPT `]);
    expect([status.version, status.leader, status.raftTerm]).toEqual(["3.6.1", 0n, 2n]);
  });

  it("A10: raises no alarm of type NONE, and returns one of an unknown type as it was raised", async () => {
    const harness = await createHarness();
    const memberID = parseMemberId(self);
    const raise = async (alarm: number): Promise<number[]> => {
      const action = AlarmRequest_AlarmAction.ACTIVATE;
      const request = create(AlarmRequestSchema, { action, memberID, alarm: alarm as AlarmType });
      const call = await harness.unary("/etcdserverpb.Maintenance/Alarm", toBinary(AlarmRequestSchema, request));
      return fromBinary(AlarmResponseSchema, call.messages[0]!).alarms.map((one) => one.alarm);
    };
    expect([await raise(0), await raise(5)]).toEqual([[], [5]]);
    const call = await harness.unary("/etcdserverpb.Maintenance/Status", new Uint8Array(0));
    expect(fromBinary(StatusResponseSchema, call.messages[0]!).errors).toEqual([`memberID:${memberID} alarm:5 `]);
  });

  it("hashes readable revisions only", async () => {
    const harness = await createHarness();
    const hash = (revision: bigint): Promise<RecordedCall> =>
      harness.unary(
        "/etcdserverpb.Maintenance/HashKV",
        toBinary(HashKVRequestSchema, create(HashKVRequestSchema, { revision })),
      );
    const answer = fromBinary(HashKVResponseSchema, (await hash(0n)).messages[0]!);
    expect([answer.hashRevision, answer.compactRevision]).toEqual([1n, -1n]);
    expect((await hash(9n)).status).toEqual(statusOf(EtcdErrors.futureRevision));
  });

  it("transfers leadership only from the leader and only to a voter", async () => {
    const harness = await createHarness();
    const move = (id: string): Promise<RecordedCall> =>
      harness.unary(
        "/etcdserverpb.Maintenance/MoveLeader",
        toBinary(MoveLeaderRequestSchema, create(MoveLeaderRequestSchema, { targetID: parseMemberId(id) })),
      );
    expect((await move(other)).status).toEqual(statusOf(EtcdErrors.badLeaderTransferee));
    expect((await move(self)).status?.code).toBe(StatusCode.ok);
    harness.consensus.leader = other;
    expect((await move(self)).status).toEqual(statusOf(EtcdErrors.notLeader));
  });
});

describe.each(["protobuf", "json"] as const)("haplan service, called in %s,", (encoding) => {
  const { changeMembers, facts, drain } = haplanMethods;
  const ask = async <Request extends DescMessage>(
    harness: Harness,
    method: DescMethodUnary<Request>,
    message: MessageInitShape<Request>,
  ): Promise<RecordedCall> => harness.unary(haplanPath(method), encodeHaplan(method.input, message, encoding));
  const answerOf = <Response extends DescMessage>(
    { output }: DescMethodUnary<DescMessage, Response>,
    { messages }: RecordedCall,
  ): MessageShape<Response> => {
    // A response without fields is empty in protobuf.
    expect(encodingOf(messages[0]!)).toBe(encoding);
    return decodeHaplan(output, messages[0]!);
  };

  it("changes all voters at once and rejects even numbers, unknown members and malformed requests", async () => {
    const harness = await createHarness();
    const added = await ask(harness, changeMembers, {
      voters: [self],
      learners: [],
      add: [{ peerUrls: url(2) }, { peerUrls: url(3) }],
    });
    const [second, third, ...others] = answerOf(changeMembers, added).configuration!.learners as [string, string];
    expect(others).toEqual([]);
    const even = await ask(harness, changeMembers, { voters: [self, second], learners: [third] });
    expect(even.status?.text).toMatch(/2 voters are rejected/);
    const unknown = await ask(harness, changeMembers, { voters: [other], learners: [] });
    expect(unknown.status?.text).toMatch(/member 1111111111111111 is unknown/);
    expect((await ask(harness, changeMembers, {})).status?.text).toMatch(/must be lists of member ids/);
    expect((await ask(harness, changeMembers, { voters: [self, second, third], learners: [] })).status?.text).toBe("");
    expect(harness.services.machine.membership.configuration.voters).toEqual([self, second, third].sort());
  });

  it("returns the facts, with each member's lag", async () => {
    const harness = await createHarness();
    harness.consensus.index = 50;
    harness.consensus.progress.push({ member: other, matchIndex: 20, active: true });
    const call = await ask(harness, facts, { hash: true });
    const answer = answerOf(facts, call);
    expect(answer).toMatchObject({ memberId: self, role: "leader", term: 2n, revision: 1n, hash: { revision: 1n } });
    expect(answer.progress.map(({ member, lagEntries }) => [member, lagEntries])).toEqual([
      [self, 0n],
      [other, 30n],
    ]);
  });

  it("transfers leadership to the voter with the longest log, and fails when there is none", async () => {
    const harness = await createHarness();
    expect((await ask(harness, drain, {})).status?.code).toBe(StatusCode.failedPrecondition);
    harness.services.machine.membership.change(
      { voters: [self, other, "2222222222222222"], votersOutgoing: [], learners: [] },
      { added: [] },
    );
    harness.consensus.progress.push({ member: other, matchIndex: 20, active: true });
    harness.consensus.progress.push({ member: "2222222222222222", matchIndex: 30, active: true });
    const call = await ask(harness, drain, {});
    expect(answerOf(drain, call).leader).toBe("2222222222222222");
  });

  it("T11: a drain disconnects the clients on request", async () => {
    let asked = 0;
    const drainClients = async (): Promise<void> => void (asked += 1);
    const harness = await createHarness({ drainClients });
    harness.consensus.leader = other;
    await ask(harness, drain, {});
    expect(asked).toBe(0);
    const call = await ask(harness, drain, { clients: true });
    expect(answerOf(drain, call).leader).toBe(other);
    expect(asked).toBe(1);
  });
});

describe("health service", () => {
  it("reports on the whole server and no other service", async () => {
    const harness = await createHarness();
    const check = (request: Uint8Array): Promise<RecordedCall> =>
      harness.unary("/grpc.health.v1.Health/Check", request);
    expect([...(await check(new Uint8Array(0))).messages[0]!]).toEqual([8, 1]);
    expect((await check(Uint8Array.of(10, 1, 120))).status).toEqual({
      code: StatusCode.notFound,
      text: "unknown service",
    });
  });
});
