import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall } from "../../../../test/support/single-member.ts";
import { LeaseGrantRequestSchema, LeaseRevokeRequestSchema } from "../../api/gen/etcdserverpb/rpc_pb.ts";
import * as elections from "../../api/gen/v3electionpb/v3election_pb.ts";
import * as locks from "../../api/gen/v3lockpb/v3lock_pb.ts";
import { StatusCode } from "../../api/status-code.ts";

const text = (value: string): Uint8Array => Buffer.from(value);
const words = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

function ask<Request extends DescMessage>(
  harness: Harness,
  path: string,
  schema: Request,
  fields: MessageInitShape<Request>,
): Promise<RecordedCall> {
  return harness.unary(path, toBinary(schema, create(schema, fields)));
}

async function answer<Answer extends DescMessage>(
  asked: Promise<RecordedCall>,
  schema: Answer,
): Promise<MessageShape<Answer>> {
  const call = await asked;
  expect(call.status).toEqual({ code: StatusCode.ok, text: "" });
  return fromBinary(schema, call.messages[0]!);
}

/** The text of a failure; composite methods have no code of their own. */
async function failure(asked: Promise<RecordedCall>): Promise<string | undefined> {
  const { status } = await asked;
  expect(status?.code).toBe(StatusCode.unknown);
  return status?.text;
}

async function leases(harness: Harness, ...ids: bigint[]): Promise<void> {
  for (const ID of ids)
    await ask(harness, "/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequestSchema, { ID, TTL: 100n });
}

const endLease = (harness: Harness, ID: bigint): Promise<RecordedCall> =>
  ask(harness, "/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeRequestSchema, { ID });
const lock = (harness: Harness, name: string, lease = 0n): Promise<RecordedCall> =>
  ask(harness, "/v3lockpb.Lock/Lock", locks.LockRequestSchema, { name: text(name), lease });
const unlock = (harness: Harness, key: Uint8Array): Promise<RecordedCall> =>
  ask(harness, "/v3lockpb.Lock/Unlock", locks.UnlockRequestSchema, { key });
const campaign = (harness: Harness, lease: bigint, value: string): Promise<RecordedCall> =>
  ask(harness, "/v3electionpb.Election/Campaign", elections.CampaignRequestSchema, {
    name: text("e"),
    lease,
    value: text(value),
  });
const leader = (harness: Harness): Promise<RecordedCall> =>
  ask(harness, "/v3electionpb.Election/Leader", elections.LeaderRequestSchema, { name: text("e") });
const proclaim = (harness: Harness, named: elections.LeaderKey | undefined, value: string): Promise<RecordedCall> =>
  ask(harness, "/v3electionpb.Election/Proclaim", elections.ProclaimRequestSchema, {
    value: text(value),
    ...(named === undefined ? {} : { leader: named }),
  });
const resign = (harness: Harness, named: elections.LeaderKey | undefined): Promise<RecordedCall> =>
  ask(
    harness,
    "/v3electionpb.Election/Resign",
    elections.ResignRequestSchema,
    named === undefined ? {} : { leader: named },
  );

async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function isOpen(asked: Promise<RecordedCall>): Promise<boolean> {
  let open = true;
  void asked.then(() => {
    open = false;
  });
  await turns();
  return open;
}

describe("Lock", () => {
  it("grants the lock to one client after the other, in order of arrival", async () => {
    const harness = await createHarness();
    await leases(harness, 1n, 2n, 3n);
    const first = await answer(lock(harness, "l", 1n), locks.LockResponseSchema);
    expect(words(first.key)).toBe("l/1");
    const second = lock(harness, "l", 2n);
    expect(await isOpen(second)).toBe(true);
    const third = lock(harness, "l", 3n);
    await unlock(harness, first.key);
    expect(words((await answer(second, locks.LockResponseSchema)).key)).toBe("l/2");
    expect(await isOpen(third)).toBe(true);
    await endLease(harness, 2n);
    expect(words((await answer(third, locks.LockResponseSchema)).key)).toBe("l/3");
  });

  it("creates a lease of a minute for a client without one, and is reentrant for its holder", async () => {
    const harness = await createHarness();
    const { key } = await answer(lock(harness, "l"), locks.LockResponseSchema);
    const [lease] = [...harness.services.machine.leases.all()];
    expect([words(key), lease?.ttlSeconds]).toEqual([`l/${lease!.id.toString(16)}`, 60]);
    expect(words((await answer(lock(harness, "l", lease!.id), locks.LockResponseSchema)).key)).toBe(words(key));
    expect(await isOpen(lock(harness, "l"))).toBe(true);
  });

  it("removes a disconnected client from the queue", async () => {
    const harness = await createHarness();
    await leases(harness, 1n, 2n, 3n);
    await lock(harness, "l", 1n);
    const method = harness.services.methods.find(({ path }) => path === "/v3lockpb.Lock/Lock");
    if (method?.kind !== "unary") throw new Error("no such method");
    const gone = harness.stream("/etcdserverpb.Watch/Watch").call;
    method.handle(
      toBinary(locks.LockRequestSchema, create(locks.LockRequestSchema, { name: text("l"), lease: 2n })),
      gone,
    );
    await turns();
    expect(harness.services.machine.store.get(text("l/2"))).toBeDefined();
    gone.close();
    method.onClose?.(gone);
    await turns();
    expect(harness.services.machine.store.get(text("l/2"))).toBeUndefined();
    expect(harness.services.watchHub.watcherCount).toBe(0);
  });

  it("fails with the texts of its steps, whose codes are lost as in etcd", async () => {
    const harness = await createHarness();
    expect(await failure(lock(harness, "l", 404n))).toBe("etcdserver: requested lease not found");
    expect(await failure(unlock(harness, text("")))).toBe("etcdserver: key is not provided");
    await leases(harness, 1n, 2n);
    await lock(harness, "l", 1n);
    const waiting = lock(harness, "l", 2n);
    await turns();
    await endLease(harness, 2n);
    await endLease(harness, 1n);
    expect(await failure(waiting)).toBe("mutex: session is expired");
  });

  it("T11: ends waiting calls as unavailable when the member is stopping", async () => {
    const harness = await createHarness();
    await leases(harness, 1n, 2n);
    await lock(harness, "l", 1n);
    const waiting = lock(harness, "l", 2n);
    await turns();
    harness.services.endLongLivedStreams();
    expect((await waiting).status).toEqual({ code: StatusCode.unavailable, text: "etcdserver: server stopped" });
    // The key of the waiting client was removed with its call.
    expect((await lock(harness, "l", 1n)).status?.code).toBe(StatusCode.ok);
  });
});

describe("Election", () => {
  it("has one leader with a proclaimed value, and a successor when it resigns", async () => {
    const harness = await createHarness();
    await leases(harness, 1n, 2n);
    expect(await failure(leader(harness))).toBe("election: no leader");
    const first = await answer(campaign(harness, 1n, "one"), elections.CampaignResponseSchema);
    expect([words(first.leader?.key), words(first.leader?.name), first.leader?.lease]).toEqual(["e/1", "e", 1n]);
    const second = campaign(harness, 2n, "two");
    expect(await isOpen(second)).toBe(true);
    expect(words((await answer(leader(harness), elections.LeaderResponseSchema)).kv?.value)).toBe("one");
    await answer(proclaim(harness, first.leader, "uno"), elections.ProclaimResponseSchema);
    expect(words((await answer(leader(harness), elections.LeaderResponseSchema)).kv?.value)).toBe("uno");
    await answer(resign(harness, first.leader), elections.ResignResponseSchema);
    expect(words((await answer(second, elections.CampaignResponseSchema)).leader?.key)).toBe("e/2");
    expect(await failure(proclaim(harness, first.leader, "late"))).toBe("election: not leader");
    await answer(resign(harness, first.leader), elections.ResignResponseSchema);
    const again = await answer(campaign(harness, 2n, "dos"), elections.CampaignResponseSchema);
    expect(words((await answer(leader(harness), elections.LeaderResponseSchema)).kv?.value)).toBe("dos");
    expect(words(again.leader?.key)).toBe("e/2");
  });

  it("requires the leader key", async () => {
    const harness = await createHarness();
    expect(await failure(proclaim(harness, undefined, "v"))).toBe('"leader" field must be provided');
    expect(await failure(resign(harness, undefined))).toBe('"leader" field must be provided');
    expect(await failure(campaign(harness, 404n, "v"))).toBe("etcdserver: requested lease not found");
  });

  it("notifies observers of each leader and each proclamation, and drops them when they disconnect", async () => {
    const harness = await createHarness();
    await leases(harness, 1n, 2n);
    const { call, handler } = harness.stream("/v3electionpb.Election/Observe");
    handler.onMessage(
      toBinary(elections.LeaderRequestSchema, create(elections.LeaderRequestSchema, { name: text("e") })),
    );
    await turns();
    const first = await answer(campaign(harness, 1n, "one"), elections.CampaignResponseSchema);
    await turns();
    const second = campaign(harness, 2n, "two");
    await answer(proclaim(harness, first.leader, "uno"), elections.ProclaimResponseSchema);
    await turns();
    await answer(resign(harness, first.leader), elections.ResignResponseSchema);
    await second;
    await turns();
    const seen = call.messages.map((message) => fromBinary(elections.LeaderResponseSchema, message));
    expect(seen.map(({ kv }) => words(kv?.value))).toEqual(["one", "uno", "two"]);
    expect(seen.map(({ header, kv }) => header!.revision >= kv!.modRevision)).toEqual([true, true, true]);
    call.close();
    handler.onClose();
    await turns();
    expect(harness.services.watchHub.watcherCount).toBe(0);
  });

  it("rejects an observer whose request is not a message", async () => {
    const harness = await createHarness();
    const { call, handler } = harness.stream("/v3electionpb.Election/Observe");
    handler.onMessage(Buffer.of(0x0a, 0x09, 0x61));
    expect(call.status).toEqual({ code: StatusCode.internal, text: "haplan-agent: premature EOF" });
  });

  it("ends the stream of an observer that does not read", async () => {
    const harness = await createHarness();
    await leases(harness, 1n);
    const { call, handler } = harness.stream("/v3electionpb.Election/Observe");
    call.accepting = false;
    const { leader: named } = await answer(campaign(harness, 1n, "v"), elections.CampaignResponseSchema);
    handler.onMessage(
      toBinary(elections.LeaderRequestSchema, create(elections.LeaderRequestSchema, { name: text("e") })),
    );
    for (let at = 0; at < 1_100 && call.status === null; at++) {
      await proclaim(harness, named, `${at}`);
      await turns(1);
    }
    expect(call.status?.text).toBe("etcdserver: too many requests");
  });
});
