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
import { createWorld, type RecordedCall, self, type World } from "../../../test/support/single-member.ts";
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

function grant(world: World, TTL: bigint, ID = 0n): Promise<RecordedCall> {
  const request = toBinary(LeaseGrantRequestSchema, create(LeaseGrantRequestSchema, { TTL, ID }));
  return world.unary("/etcdserverpb.Lease/LeaseGrant", request);
}

function timeToLive(world: World, ID: bigint, keys = false): Promise<RecordedCall> {
  const request = toBinary(LeaseTimeToLiveRequestSchema, create(LeaseTimeToLiveRequestSchema, { ID, keys }));
  return world.unary("/etcdserverpb.Lease/LeaseTimeToLive", request);
}

async function keepAlive(world: World, ...ids: bigint[]): Promise<RecordedCall> {
  const { call, handler } = world.stream("/etcdserverpb.Lease/LeaseKeepAlive");
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
    const world = await createWorld();
    const answer = fromBinary(LeaseGrantResponseSchema, (await grant(world, 1n)).messages[0]!);
    expect([answer.TTL, answer.ID > 0n]).toEqual([2n, true]);
    expect((await grant(world, 10n, 7n)).status?.code).toBe(StatusCode.ok);
    expect((await grant(world, 10n, 7n)).status).toEqual(statusOf(EtcdErrors.leaseExists));
    expect((await grant(world, 9_000_000_001n)).status).toEqual(statusOf(EtcdErrors.leaseTtlTooLarge));
    const revoke = toBinary(LeaseRevokeRequestSchema, create(LeaseRevokeRequestSchema, { ID: 99n }));
    const refused = await world.unary("/etcdserverpb.Lease/LeaseRevoke", revoke);
    expect(refused.status).toEqual(statusOf(EtcdErrors.leaseNotFound));
  });

  it("renews, counts down, and responds to unknown leases without an error", async () => {
    const world = await createWorld();
    await grant(world, 10n, 7n);
    world.clock.nowMs += 4_500;
    expect(ttlOf(await timeToLive(world, 7n))).toEqual([5n, 10n]);
    const renewed = await keepAlive(world, 7n, 8n, 7n);
    expect(renewed.messages.map((message) => decodeLeaseKeepAliveResponse(message).ttl)).toEqual([10, 0, 10]);
    expect(renewed.status?.code).toBe(StatusCode.ok);
    expect(ttlOf(await timeToLive(world, 7n))).toEqual([10n, 10n]);
    expect(ttlOf(await timeToLive(world, 8n))).toEqual([-1n, 0n]);
  });

  it("deletes the keys of an expired lease", async () => {
    const world = await createWorld();
    await grant(world, 10n, 7n);
    await grant(world, 20n, 8n);
    const plain = { value: Buffer.from("v"), prevKv: false, ignoreValue: false, ignoreLease: false };
    await world.unary("/etcdserverpb.KV/Put", encodePutRequest({ ...plain, key: Buffer.from("k"), lease: 7n }));
    const answer = fromBinary(LeaseTimeToLiveResponseSchema, (await timeToLive(world, 7n, true)).messages[0]!);
    expect(answer.keys.map((key) => Buffer.from(key).toString())).toEqual(["k"]);
    world.clock.nowMs += 10_000;
    world.services.tick();
    await turn();
    expect(world.services.machine.store.get(Buffer.from("k"))).toBeUndefined();
    const { leases } = fromBinary(
      LeaseLeasesResponseSchema,
      (await world.unary("/etcdserverpb.Lease/LeaseLeases", new Uint8Array(0))).messages[0]!,
    );
    expect(leases.map(({ ID }) => ID)).toEqual([8n]);
  });

  it("revokes leases with thousands of keys one per tick", async () => {
    const world = await createWorld();
    const { store } = world.services.machine;
    for (const id of [7n, 8n, 9n]) {
      await grant(world, 10n, id);
      const txn = store.beginWrite();
      for (let key = 0; key < 1_500; key++) txn.put(Buffer.from(`${id}/${key}`), Buffer.from("v"), id);
      txn.end();
    }
    world.clock.nowMs += 10_000;
    const left: number[] = [];
    for (let tick = 0; tick < 3; tick++) {
      world.services.tick();
      await turn();
      left.push(store.keyCount);
    }
    expect(left).toEqual([1_500, 0, 0]);
  });

  it("calls the leader on behalf of a follower's clients, and responds under its own header", async () => {
    const leader = await createWorld();
    const follower = await createWorld();
    await grant(leader, 10n, 7n);
    follower.consensus.leader = other;
    follower.consensus.peers.set(other, leader.services);
    follower.services.leadershipChanged();
    expect(decodeLeaseKeepAliveResponse((await keepAlive(follower, 7n)).messages[0]!).ttl).toBe(10);
    expect(ttlOf(await timeToLive(follower, 7n))).toEqual([10n, 10n]);
  });

  it("serves a request to a lost leader itself once it leads", async () => {
    const world = await createWorld();
    await grant(world, 10n, 7n);
    world.consensus.leader = other;
    world.services.leadershipChanged();
    const asked = [timeToLive(world, 7n), keepAlive(world, 7n)] as const;
    world.consensus.leader = self;
    world.services.leadershipChanged();
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
      const world = await createWorld();
      await grant(world, 24n, 7n);
      world.clock.nowMs += 12_000;
      if (atMs > 12_000) {
        world.services.tick();
        await turn();
        world.clock.nowMs += atMs - 12_000;
      }
      world.services.tick();
      for (let i = 0; i < turns; i++) await turn();
      // A response that waits for nothing arrives long before.
      world.consensus.turnsToApply = 50;
      const { call, handler } = world.stream("/etcdserverpb.Lease/LeaseKeepAlive");
      handler.onMessage(encodeLeaseKeepAliveRequest({ id: 7n }));
      while (call.messages.length === 0) await null;
      expect(decodeLeaseKeepAliveResponse(call.messages[0]!).ttl).toBe(24);
      expect(world.services.machine.leases.get(7n)?.remainingSeconds).toBe(0);
      world.consensus.leader = other;
      world.services.leadershipChanged();
      world.consensus.leader = self;
      world.services.leadershipChanged();
      expect(world.services.context.lessor.remainingMs(7n)).toBe(25_000);
    },
  );

  it("A4: nothing is promised until the clearing entry is applied, neither by KeepAlive nor by TimeToLive", async () => {
    const world = await createWorld();
    await grant(world, 24n, 7n);
    world.clock.nowMs += 12_000;
    world.services.tick();
    await turn();
    world.consensus.swallowProposals = true;
    const { call, handler } = world.stream("/etcdserverpb.Lease/LeaseKeepAlive");
    handler.onMessage(encodeLeaseKeepAliveRequest({ id: 7n }));
    for (let i = 0; i < 5; i++) await turn();
    expect([call.messages.length, call.status]).toEqual([0, null]);
    expect(ttlOf(await timeToLive(world, 7n))).toEqual([12n, 24n]);
    world.clock.nowMs += world.services.context.proposer.limits.requestTimeoutMs;
    world.services.tick();
    for (let i = 0; i < 5; i++) await turn();
    expect([call.messages.length, call.status]).toEqual([0, statusOf(EtcdErrors.timeout)]);
  });

  it("A4: a new leader counts from its predecessors' entries, once it has applied them", async () => {
    const world = await createWorld();
    await grant(world, 24n, 7n);
    world.clock.nowMs += 12_000;
    world.services.tick();
    await turn();
    const { consensus, services } = world;
    consensus.leader = other;
    services.leadershipChanged();
    // Leads, but has not yet applied the clearing entry of the old term.
    consensus.leader = self;
    consensus.term = 3;
    services.leadershipChanged();
    expect(services.context.lessor.primary).toBe(false);
    services.machine.leases.checkpoint(7n, 0);
    await grant(world, 24n, 8n);
    expect(services.context.lessor.remainingMs(7n)).toBe(25_000);
  });

  it("A4: a member that loses its leadership during a request does not report the lease as expired", async () => {
    const world = await createWorld();
    await grant(world, 24n, 7n);
    const answer = timeToLive(world, 7n);
    world.consensus.leader = other;
    world.services.leadershipChanged();
    expect((await answer).status).toEqual(statusOf(EtcdErrors.timeout));
  });

  it("gives up on an unreachable leader when the request times out", async () => {
    const world = await createWorld();
    world.consensus.leader = other;
    world.services.leadershipChanged();
    expect((await timeToLive(world, 7n)).status).toEqual(statusOf(EtcdErrors.timeout));
    world.consensus.leader = null;
    expect((await timeToLive(world, 7n)).status).toEqual(statusOf(EtcdErrors.noLeader));
  });
});

const cluster = {
  add: (world: World, peerURLs: string[], isLearner = false) =>
    world.unary(
      "/etcdserverpb.Cluster/MemberAdd",
      toBinary(MemberAddRequestSchema, create(MemberAddRequestSchema, { peerURLs, isLearner })),
    ),
  remove: (world: World, id: string) =>
    world.unary(
      "/etcdserverpb.Cluster/MemberRemove",
      toBinary(MemberRemoveRequestSchema, create(MemberRemoveRequestSchema, { ID: parseMemberId(id) })),
    ),
  promote: (world: World, id: string) =>
    world.unary(
      "/etcdserverpb.Cluster/MemberPromote",
      toBinary(MemberPromoteRequestSchema, create(MemberPromoteRequestSchema, { ID: parseMemberId(id) })),
    ),
  update: (world: World, id: string, peerURLs: string[]) =>
    world.unary(
      "/etcdserverpb.Cluster/MemberUpdate",
      toBinary(MemberUpdateRequestSchema, create(MemberUpdateRequestSchema, { ID: parseMemberId(id), peerURLs })),
    ),
};

const addedId = (call: RecordedCall): string =>
  fromBinary(MemberAddResponseSchema, call.messages[0]!).member!.ID.toString(16).padStart(16, "0");

/** The member is up, has the whole log and is connected. */
function bringUp(world: World, id: string): void {
  world.consensus.progress.push({ member: id, matchIndex: 1_000, active: true });
  world.consensus.connectedMs.set(id, 60_000);
  world.services.machine.membership.update(id, { name: `m-${id}` });
}

describe("cluster service", () => {
  it("rejects invalid and used URLs, unknown members, and a second learner", async () => {
    const world = await createWorld();
    expect((await cluster.add(world, ["nonsense"])).status).toEqual(statusOf(EtcdErrors.badMemberUrls));
    expect((await cluster.add(world, [])).status).toEqual(statusOf(EtcdErrors.badMemberUrls));
    expect((await cluster.add(world, url(1))).status).toEqual(statusOf(EtcdErrors.peerUrlExists));
    const learner = addedId(await cluster.add(world, url(2), true));
    expect((await cluster.add(world, url(3), true)).status).toEqual(statusOf(EtcdErrors.tooManyLearners));
    expect((await cluster.remove(world, other)).status).toEqual(statusOf(EtcdErrors.memberNotFound));
    expect((await cluster.promote(world, other)).status).toEqual(statusOf(EtcdErrors.memberNotFound));
    expect((await cluster.promote(world, self)).status).toEqual(statusOf(EtcdErrors.memberNotLearner));
    expect((await cluster.promote(world, learner)).status).toEqual(statusOf(EtcdErrors.learnerNotReady));
    expect((await cluster.update(world, other, url(5))).status).toEqual(statusOf(EtcdErrors.memberNotFound));
    expect((await cluster.update(world, learner, url(1))).status).toEqual(statusOf(EtcdErrors.peerUrlExists));
    expect((await cluster.update(world, learner, url(5))).status?.code).toBe(StatusCode.ok);
    expect(world.services.machine.membership.get(learner)?.peerUrls).toEqual(url(5));
  });

  it("rejects removing the last member, and changes that would lose the quorum", async () => {
    const world = await createWorld();
    expect((await cluster.remove(world, self)).status).toEqual(statusOf(EtcdErrors.notEnoughStarted));
    await cluster.add(world, url(2));
    expect((await cluster.add(world, url(3))).status).toEqual(statusOf(EtcdErrors.notEnoughStarted));
  });

  it("grows from one voter to three without ever having two", async () => {
    const world = await createWorld();
    const { membership } = world.services.machine;
    const second = addedId(await cluster.add(world, url(2)));
    bringUp(world, second);
    world.services.tick();
    await turn();
    expect(membership.configuration).toEqual({ voters: [self], votersOutgoing: [], learners: [second] });
    world.clock.nowMs += 2_000;
    const third = addedId(await cluster.add(world, url(3), true));
    bringUp(world, third);
    expect((await cluster.promote(world, third)).status?.code).toBe(StatusCode.ok);
    await turn();
    expect(membership.configuration.voters).toEqual([self, second, third].sort());
    expect(membership.list().some((member) => member.learner)).toBe(false);
    expect((await cluster.remove(world, second)).status?.code).toBe(StatusCode.ok);
    expect(membership.isRemoved(second)).toBe(true);
    expect((await cluster.remove(world, second)).status).toEqual(statusOf(EtcdErrors.memberNotFound));
  });

  it("lists members in id order, with the learner flag", async () => {
    const world = await createWorld();
    await cluster.add(world, url(2), true);
    const request = toBinary(MemberListRequestSchema, create(MemberListRequestSchema, { linearizable: true }));
    const call = await world.unary("/etcdserverpb.Cluster/MemberList", request);
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
    const world = await createWorld();
    world.services.machine.membership.update(self, { learner: true });
    const key = Buffer.from("a");
    const range = (serializable: boolean): Promise<RecordedCall> =>
      world.unary("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest(key, { serializable })));
    expect((await range(true)).status?.code).toBe(StatusCode.ok);
    expect((await range(false)).status).toEqual(statusOf(EtcdErrors.notSupportedForLearner));
    expect((await grant(world, 5n)).status).toEqual(statusOf(EtcdErrors.notSupportedForLearner));
    const watch = world.stream("/etcdserverpb.Watch/Watch");
    expect(watch.call.status).toEqual(statusOf(EtcdErrors.notSupportedForLearner));
    const status = await world.unary("/etcdserverpb.Maintenance/Status", new Uint8Array(0));
    expect(fromBinary(StatusResponseSchema, status.messages[0]!).isLearner).toBe(true);
  });
});

describe("maintenance service", () => {
  it("reports a missing leader and alarms in its status", async () => {
    const world = await createWorld();
    const memberID = parseMemberId(self);
    const activate = create(AlarmRequestSchema, {
      action: AlarmRequest_AlarmAction.ACTIVATE,
      memberID,
      alarm: AlarmType.CORRUPT,
    });
    const alarmed = await world.unary("/etcdserverpb.Maintenance/Alarm", toBinary(AlarmRequestSchema, activate));
    expect(fromBinary(AlarmResponseSchema, alarmed.messages[0]!).alarms).toMatchObject([{ memberID, alarm: 2 }]);
    const list = toBinary(AlarmRequestSchema, create(AlarmRequestSchema));
    const listed = await world.unary("/etcdserverpb.Maintenance/Alarm", list);
    expect(fromBinary(AlarmResponseSchema, listed.messages[0]!).alarms).toMatchObject([{ memberID, alarm: 2 }]);
    world.consensus.leader = null;
    const call = await world.unary("/etcdserverpb.Maintenance/Status", new Uint8Array(0));
    const status = fromBinary(StatusResponseSchema, call.messages[0]!);
    expect(status.errors).toEqual(["etcdserver: no leader", `memberID:${memberID} alarm:CORRUPT `]);
    expect([status.version, status.leader, status.raftTerm]).toEqual(["3.6.1", 0n, 2n]);
  });

  it("A10: raises no alarm of type NONE, and returns one of an unknown type as it was raised", async () => {
    const world = await createWorld();
    const memberID = parseMemberId(self);
    const raise = async (alarm: number): Promise<number[]> => {
      const action = AlarmRequest_AlarmAction.ACTIVATE;
      const request = create(AlarmRequestSchema, { action, memberID, alarm: alarm as AlarmType });
      const call = await world.unary("/etcdserverpb.Maintenance/Alarm", toBinary(AlarmRequestSchema, request));
      return fromBinary(AlarmResponseSchema, call.messages[0]!).alarms.map((one) => one.alarm);
    };
    expect([await raise(0), await raise(5)]).toEqual([[], [5]]);
    const call = await world.unary("/etcdserverpb.Maintenance/Status", new Uint8Array(0));
    expect(fromBinary(StatusResponseSchema, call.messages[0]!).errors).toEqual([`memberID:${memberID} alarm:5 `]);
  });

  it("hashes readable revisions only", async () => {
    const world = await createWorld();
    const hash = (revision: bigint): Promise<RecordedCall> =>
      world.unary(
        "/etcdserverpb.Maintenance/HashKV",
        toBinary(HashKVRequestSchema, create(HashKVRequestSchema, { revision })),
      );
    const answer = fromBinary(HashKVResponseSchema, (await hash(0n)).messages[0]!);
    expect([answer.hashRevision, answer.compactRevision]).toEqual([1n, -1n]);
    expect((await hash(9n)).status).toEqual(statusOf(EtcdErrors.futureRevision));
  });

  it("transfers leadership only from the leader and only to a voter", async () => {
    const world = await createWorld();
    const move = (id: string): Promise<RecordedCall> =>
      world.unary(
        "/etcdserverpb.Maintenance/MoveLeader",
        toBinary(MoveLeaderRequestSchema, create(MoveLeaderRequestSchema, { targetID: parseMemberId(id) })),
      );
    expect((await move(other)).status).toEqual(statusOf(EtcdErrors.badLeaderTransferee));
    expect((await move(self)).status?.code).toBe(StatusCode.ok);
    world.consensus.leader = other;
    expect((await move(self)).status).toEqual(statusOf(EtcdErrors.notLeader));
  });
});

describe.each(["protobuf", "json"] as const)("haplan service, called in %s,", (encoding) => {
  const { changeMembers, facts, drain } = haplanMethods;
  const ask = async <Request extends DescMessage>(
    world: World,
    method: DescMethodUnary<Request>,
    message: MessageInitShape<Request>,
  ): Promise<RecordedCall> => world.unary(haplanPath(method), encodeHaplan(method.input, message, encoding));
  const answerOf = <Response extends DescMessage>(
    { output }: DescMethodUnary<DescMessage, Response>,
    { messages }: RecordedCall,
  ): MessageShape<Response> => {
    // A response without fields is empty in protobuf.
    expect(encodingOf(messages[0]!)).toBe(encoding);
    return decodeHaplan(output, messages[0]!);
  };

  it("changes all voters at once and rejects even numbers, unknown members and malformed requests", async () => {
    const world = await createWorld();
    const added = await ask(world, changeMembers, {
      voters: [self],
      learners: [],
      add: [{ peerUrls: url(2) }, { peerUrls: url(3) }],
    });
    const [second, third, ...others] = answerOf(changeMembers, added).configuration!.learners as [string, string];
    expect(others).toEqual([]);
    const even = await ask(world, changeMembers, { voters: [self, second], learners: [third] });
    expect(even.status?.text).toMatch(/2 voters are rejected/);
    const unknown = await ask(world, changeMembers, { voters: [other], learners: [] });
    expect(unknown.status?.text).toMatch(/member 1111111111111111 is unknown/);
    expect((await ask(world, changeMembers, {})).status?.text).toMatch(/must be lists of member ids/);
    expect((await ask(world, changeMembers, { voters: [self, second, third], learners: [] })).status?.text).toBe("");
    expect(world.services.machine.membership.configuration.voters).toEqual([self, second, third].sort());
  });

  it("returns the facts, with each member's lag", async () => {
    const world = await createWorld();
    world.consensus.index = 50;
    world.consensus.progress.push({ member: other, matchIndex: 20, active: true });
    const call = await ask(world, facts, { hash: true });
    const answer = answerOf(facts, call);
    expect(answer).toMatchObject({ memberId: self, role: "leader", term: 2n, revision: 1n, hash: { revision: 1n } });
    expect(answer.progress.map(({ member, lagEntries }) => [member, lagEntries])).toEqual([
      [self, 0n],
      [other, 30n],
    ]);
  });

  it("transfers leadership to the voter with the longest log, and fails when there is none", async () => {
    const world = await createWorld();
    expect((await ask(world, drain, {})).status?.code).toBe(StatusCode.failedPrecondition);
    world.services.machine.membership.change(
      { voters: [self, other, "2222222222222222"], votersOutgoing: [], learners: [] },
      { added: [] },
    );
    world.consensus.progress.push({ member: other, matchIndex: 20, active: true });
    world.consensus.progress.push({ member: "2222222222222222", matchIndex: 30, active: true });
    const call = await ask(world, drain, {});
    expect(answerOf(drain, call).leader).toBe("2222222222222222");
  });

  it("T11: a drain disconnects the clients on request", async () => {
    let asked = 0;
    const drainClients = async (): Promise<void> => void (asked += 1);
    const world = await createWorld({ drainClients });
    world.consensus.leader = other;
    await ask(world, drain, {});
    expect(asked).toBe(0);
    const call = await ask(world, drain, { clients: true });
    expect(answerOf(drain, call).leader).toBe(other);
    expect(asked).toBe(1);
  });
});

describe("health service", () => {
  it("reports on the whole server and no other service", async () => {
    const world = await createWorld();
    const check = (request: Uint8Array): Promise<RecordedCall> => world.unary("/grpc.health.v1.Health/Check", request);
    expect([...(await check(new Uint8Array(0))).messages[0]!]).toEqual([8, 1]);
    expect((await check(Uint8Array.of(10, 1, 120))).status).toEqual({
      code: StatusCode.notFound,
      text: "unknown service",
    });
  });
});
