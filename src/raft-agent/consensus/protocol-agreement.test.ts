/** New kinds of commands in a cluster of two releases. Leases serve as the new feature of version 2. */
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall, self } from "../../../test/support/single-member.ts";
import { LeaseGrantRequestSchema } from "../api/gen/etcdserverpb/rpc_pb.ts";
import { StatusCode } from "../api/status-code.ts";
import { CommandKind, createCommandCodec } from "../state-machine/command.ts";
import { encodeLeaseGrant } from "../state-machine/command-body.ts";
import { commandTable } from "../state-machine/command-table.ts";
import { type EntryVersions, entryVersions, versionToAgreeOn } from "../state-machine/entry-versions.ts";
import { StateMachine } from "../state-machine/state-machine.ts";
import { supportedVersions } from "../transport/handshake.ts";

const [second, third, leaving] = ["1111111111111111", "2222222222222222", "3333333333333333"];
const newLeases = (supported: number): EntryVersions => ({
  supported,
  since: (kind) => (kind === CommandKind.leaseGrant ? 2 : entryVersions.since(kind)),
});

/** A leader of version 2, and two other members. */
async function createCluster(): Promise<Harness> {
  const harness = await createHarness({ versions: newLeases(2) });
  const configuration = { voters: [self, second], votersOutgoing: [], learners: [third] };
  harness.services.machine.membership.change(configuration, { added: [] });
  return harness;
}

const grant = (harness: Harness): Promise<RecordedCall> => {
  const request = create(LeaseGrantRequestSchema, { TTL: 60n });
  return harness.unary("/etcdserverpb.Lease/LeaseGrant", toBinary(LeaseGrantRequestSchema, request));
};

async function settle(harness: Harness): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    harness.services.tick();
    await new Promise(setImmediate);
  }
  return harness.services.machine.membership.protocolVersion;
}

describe("a new kind of command", () => {
  it("is rejected until every member, including learners, supports its version, and accepted from then on", async () => {
    const harness = await createCluster();
    const { supportedVersions: supported } = harness.consensus;
    const states: [string, number][] = [];
    for (const [member, version] of [
      [second, 1],
      [third, 1],
      [second, 2],
    ] as const) {
      supported.set(member, version);
      expect(await settle(harness)).toBe(1);
      const { status } = await grant(harness);
      states.push([status!.text, status!.code]);
    }
    const rejection =
      "etcdserver: leaseGrant requires version 2 of the peer protocol, but the cluster has agreed on 1: " +
      "upgrade the other members first";
    expect(states).toEqual(Array.from({ length: 3 }, () => [rejection, StatusCode.failedPrecondition]));
    supported.set(third, 2);
    expect(await settle(harness)).toBe(2);
    expect((await grant(harness)).status?.code).toBe(StatusCode.ok);
  });

  it("waits for a disconnected member: it may come back with the previous release", async () => {
    const harness = await createCluster();
    harness.consensus.supportedVersions.set(second, 2);
    expect(await settle(harness)).toBe(1);
    harness.consensus.supportedVersions.set(third, 2);
    expect(await settle(harness)).toBe(2);
  });

  it("stays allowed when a member of the previous release joins: the version never decreases", async () => {
    const harness = await createCluster();
    for (const member of [second, third]) harness.consensus.supportedVersions.set(member, 2);
    expect(await settle(harness)).toBe(2);
    harness.consensus.supportedVersions.set(second, 1);
    expect(await settle(harness)).toBe(2);
    expect((await grant(harness)).status?.code).toBe(StatusCode.ok);
  });

  it("waits for a member that is being removed: it receives the log until its removal is committed", async () => {
    const world = await createCluster();
    for (const member of [second, third]) world.consensus.supportedVersions.set(member, 2);
    world.consensus.supportedVersions.set(leaving, 1);
    world.consensus.progress.push({ member: leaving, matchIndex: 1, active: true });
    expect(await settle(world)).toBe(1);
    world.consensus.progress.pop();
    expect(await settle(world)).toBe(2);
  });

  it("is proposed only by the leader", async () => {
    const harness = await createCluster();
    for (const member of [second, third]) harness.consensus.supportedVersions.set(member, 2);
    harness.consensus.leader = second;
    expect(await settle(harness)).toBe(1);
  });
});

describe("a member of the previous release", () => {
  it("stops at an entry of a later kind, and at the one that raises the version", async () => {
    const { services } = await createHarness({ versions: newLeases(1) });
    const codec = createCommandCodec(second);
    const leases = codec.encode(CommandKind.leaseGrant, 1, encodeLeaseGrant({ ttlSeconds: 60, id: 7n }));
    expect(() => services.applyEntry(1, 1, leases)).toThrow(/Cannot read log entry of kind 5 /);
    const raise = codec.encode(CommandKind.protocolVersion, 1, Uint8Array.of(8, 2));
    expect(() => services.applyEntry(1, 1, raise)).toThrow(/Cannot read log entry of kind 13 /);
    expect(services.machine.store.consistentIndex).toBe(0);
  });

  it("does not start with the data of a cluster that has agreed on a later version", async () => {
    const harness = await createCluster();
    for (const member of [second, third]) harness.consensus.supportedVersions.set(member, 2);
    await settle(harness);
    const { store } = harness.services.machine;
    expect(() => new StateMachine({ self, store, versions: newLeases(1) })).toThrow(
      /the cluster has agreed on protocol version 2, but this haplan-agent supports only 1; start the release/,
    );
    expect(new StateMachine({ self, store, versions: newLeases(2) }).membership.protocolVersion).toBe(2);
  });
});

describe("this release", () => {
  it("supports a protocol version that has all of its kinds of commands", () => {
    const newest = Math.max(...Object.values(commandTable).map(({ since }) => since));
    expect(supportedVersions.highest).toBeGreaterThanOrEqual(newest);
  });

  it("raises no version before a kind of command requires it, so that a member can be downgraded", () => {
    const kinds = Object.values(CommandKind).filter((kind) => kind !== CommandKind.protocolVersion);
    const needed = Math.max(...kinds.map(entryVersions.since));
    expect(versionToAgreeOn(supportedVersions.highest, entryVersions)).toBe(needed);
    expect(versionToAgreeOn(0, entryVersions)).toBe(1);
  });
});
