import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CompareResult, CompareTarget } from "../api/compare.ts";
import { encodeDeleteRangeRequest } from "../api/delete-range.ts";
import { decodePutRequest, encodePutRequest } from "../api/put.ts";
import { encodeTxnRequest, type RequestOp } from "../api/txn.ts";
import { MemoryBackend } from "../mvcc/backend/backend.fake.ts";
import { openStore } from "../mvcc/mvcc-store.ts";
import type { ApplyResult } from "./apply-result.ts";
import { CommandKind, createCommandCodec } from "./command.ts";
import { encodeJson, encodeLeaseCheckpoint, encodeLeaseGrant, encodeLeaseRevoke } from "./command-body.ts";
import { EtcdErrors } from "./etcd-error.ts";
import { MembershipStore } from "./membership-store.ts";
import { StateMachine } from "./state-machine.ts";

const selfId = "8e9e05c52164694d";
const other = "1111111111111111";
const key = (value: string): Uint8Array => Buffer.from(value);

async function createMachine(self = selfId): Promise<{
  machine: StateMachine;
  results: [number, ApplyResult][];
  apply(kind: CommandKind, body: Uint8Array, term?: number): ApplyResult | undefined;
}> {
  const results: [number, ApplyResult][] = [];
  const store = await openStore({ backend: new MemoryBackend() });
  const machine = new StateMachine({ self, store });
  machine.listen({ completed: (...result) => results.push(result) });
  const codec = createCommandCodec(selfId);
  let index = 0;
  return {
    machine,
    results,
    apply: (kind, body, term = 1) => {
      index++;
      machine.apply(index, term, codec.encode(kind, index, body));
      return results.at(-1)?.[1];
    },
  };
}

const put = (name: string, lease = 0n): Uint8Array =>
  encodePutRequest({
    key: key(name),
    value: key("v"),
    lease,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  });

describe("state machine", () => {
  it("responds only to the proposing member, with its request number", async () => {
    const here = await createMachine(selfId);
    const elsewhere = await createMachine(other);
    const payload = createCommandCodec(selfId).encode(CommandKind.put, 2 ** 52 + 5, put("a"));
    here.machine.apply(1, 1, payload);
    elsewhere.machine.apply(1, 1, payload);
    expect(here.results).toEqual([[2 ** 52 + 5, { kind: "put", revision: 2, prevKv: undefined }]]);
    expect(elsewhere.results).toEqual([]);
    expect(elsewhere.machine.store.revision).toBe(2);
  });

  it("skips entries that the store already contains", async () => {
    const { machine, apply } = await createMachine();
    apply(CommandKind.put, put("a"));
    machine.apply(1, 1, createCommandCodec(selfId).encode(CommandKind.put, 9, put("b")));
    expect([machine.store.revision, machine.appliedIndex]).toEqual([2, 1]);
  });

  it("counts writes, standalone and in a transaction", async () => {
    const { machine, apply } = await createMachine();
    apply(CommandKind.put, put("a"));
    const request = {
      key: key("b"),
      value: key("v"),
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    };
    const success: RequestOp[] = [{ kind: "put", request }];
    apply(CommandKind.txn, encodeTxnRequest({ compare: [], success, failure: [] }));
    apply(
      CommandKind.deleteRange,
      encodeDeleteRangeRequest({ key: key("a"), rangeEnd: new Uint8Array(0), prevKv: false }),
    );
    expect(machine.store.counts).toEqual({ ranges: 0, puts: 2, putBytes: 4, deletes: 1, txns: 0 });
    const both: RequestOp[] = [
      { kind: "put", request: { ...request, prevKv: true } },
      { kind: "deleteRange", request: { key: key("b"), rangeEnd: new Uint8Array(0), prevKv: false } },
    ];
    const compare = {
      key: key("b"),
      rangeEnd: new Uint8Array(0),
      target: CompareTarget.version,
      result: CompareResult.greater,
    };
    const operand = { kind: "version", number: 0 } as const;
    apply(CommandKind.txn, encodeTxnRequest({ compare: [{ ...compare, operand }], success: both, failure: [] }));
    expect(machine.store.counts).toEqual({ ranges: 2, puts: 3, putBytes: 6, deletes: 2, txns: 1 });
  });

  it("rejects keeping the value of a key that the same transaction has deleted", async () => {
    const { machine, apply } = await createMachine();
    apply(CommandKind.put, put("b"));
    const again: RequestOp = {
      kind: "put",
      request: { ...decodePutRequest(put("b")), value: new Uint8Array(0), ignoreValue: true },
    };
    const sweep = (from: string): RequestOp => ({
      kind: "deleteRange",
      request: { key: key(from), rangeEnd: key("\0"), prevKv: false },
    });
    const run = (...success: RequestOp[]): ApplyResult | undefined =>
      apply(CommandKind.txn, encodeTxnRequest({ compare: [], success, failure: [] }));
    const nested: RequestOp = { kind: "txn", request: { compare: [], success: [again], failure: [] } };
    expect(run(sweep("a"), again)).toBe(EtcdErrors.keyNotFound);
    expect(run(sweep("b"), nested)).toBe(EtcdErrors.keyNotFound);
    expect(machine.store.revision).toBe(2);
    expect(run(sweep("c"), again)).toMatchObject({ kind: "txn", revision: 3 });
    expect(run(again, sweep("a"))).toMatchObject({ kind: "txn", revision: 4 });
  });

  it("accepts the empty entry of a new leader and stops at an unreadable entry", async () => {
    const { machine } = await createMachine();
    machine.apply(1, 1, new Uint8Array(0));
    expect(machine.appliedIndex).toBe(1);
    expect(() => machine.apply(2, 1, Uint8Array.of(200, 0, 1))).toThrow(/written by a newer haplan-agent/);
    expect(machine.appliedIndex).toBe(1);
  });

  it("deletes a lease's keys in one revision and rejects the lease afterwards", async () => {
    const { machine, apply } = await createMachine();
    apply(CommandKind.leaseGrant, encodeLeaseGrant({ id: 7n, ttlSeconds: 10 }));
    expect(apply(CommandKind.leaseGrant, encodeLeaseGrant({ id: 7n, ttlSeconds: 10 }))).toBe(EtcdErrors.leaseExists);
    apply(CommandKind.put, put("b", 7n));
    apply(CommandKind.put, put("a", 7n));
    apply(CommandKind.put, put("a", 0n));
    const revision = machine.store.revision;
    expect(apply(CommandKind.leaseRevoke, encodeLeaseRevoke({ ids: [7n], leaderTerm: 0 }))).toMatchObject({
      kind: "done",
      revision: revision + 1,
    });
    expect(machine.store.get(key("b"))).toBeUndefined();
    expect(machine.store.get(key("a"))).toBeDefined();
    expect(apply(CommandKind.leaseRevoke, encodeLeaseRevoke({ ids: [7n], leaderTerm: 0 }))).toBe(
      EtcdErrors.leaseNotFound,
    );
    expect(apply(CommandKind.put, put("c", 7n))).toBe(EtcdErrors.leaseNotFound);
  });

  it("ignores expiry and checkpoints of a deposed leader", async () => {
    const { machine, apply } = await createMachine();
    apply(CommandKind.leaseGrant, encodeLeaseGrant({ id: 7n, ttlSeconds: 10 }));
    apply(CommandKind.leaseRevoke, encodeLeaseRevoke({ ids: [7n], leaderTerm: 1 }), 2);
    const checkpoints = [{ id: 7n, remainingSeconds: 3 }];
    apply(CommandKind.leaseCheckpoint, encodeLeaseCheckpoint({ checkpoints, leaderTerm: 1 }), 2);
    expect(machine.leases.get(7n)).toEqual({ id: 7n, ttlSeconds: 10, remainingSeconds: 0 });
    apply(CommandKind.leaseCheckpoint, encodeLeaseCheckpoint({ checkpoints, leaderTerm: 2 }), 2);
    expect(machine.leases.get(7n)?.remainingSeconds).toBe(3);
    apply(CommandKind.leaseRevoke, encodeLeaseRevoke({ ids: [7n], leaderTerm: 2 }), 2);
    expect(machine.leases.size).toBe(0);
  });

  it("keeps members across a restart and rejects attributes of unknown members", async () => {
    const store = await openStore({ backend: new MemoryBackend() });
    const initialMember = { id: selfId, name: "", peerUrls: ["http://127.77.15.1:1"], clientUrls: [], learner: false };
    new MembershipStore(store.metadata).seed([initialMember], { voters: [selfId], votersOutgoing: [], learners: [] });
    const machine = new StateMachine({ self: selfId, store });
    const codec = createCommandCodec(other);
    const attributes = encodeJson({ id: selfId, name: "m1", clientUrls: ["http://127.77.15.1:2"] });
    machine.apply(1, 1, codec.encode(CommandKind.memberAttributes, 1, attributes));
    machine.apply(2, 1, codec.encode(CommandKind.clusterVersion, 2, key("3.6.0")));
    const again = new StateMachine({ self: selfId, store });
    expect(again.membership.list()).toEqual([{ ...initialMember, name: "m1", clientUrls: ["http://127.77.15.1:2"] }]);
    expect(again.membership.configuration.voters).toEqual([selfId]);
    expect(again.membership.clusterVersion).toBe("3.6.0");
    const { apply } = await createMachine();
    expect(apply(CommandKind.memberUpdate, encodeJson({ id: other, learner: false }))).toBe(EtcdErrors.memberNotFound);
  });

  it("produces the same data on every member for any commands, and never throws", async () => {
    const name = fc.constantFrom("a", "b", "c");
    const lease = fc.constantFrom(0n, 1n, 2n);
    const op = fc.oneof(
      fc.record({ key: name, lease }).map(
        (parts): RequestOp => ({
          kind: "put",
          request: {
            key: key(parts.key),
            value: key("v"),
            lease: parts.lease,
            prevKv: true,
            ignoreValue: false,
            ignoreLease: false,
          },
        }),
      ),
      name.map(
        (text): RequestOp => ({
          kind: "deleteRange",
          request: { key: key(text), rangeEnd: key("c"), prevKv: true },
        }),
      ),
    );
    const command = fc.oneof(
      fc.tuple(name, lease).map(([text, id]): [CommandKind, Uint8Array] => [CommandKind.put, put(text, id)]),
      name.map((text): [CommandKind, Uint8Array] => [
        CommandKind.deleteRange,
        encodeDeleteRangeRequest({ key: key(text), rangeEnd: key("\0"), prevKv: false }),
      ]),
      fc
        .array(op, { maxLength: 4 })
        .map((success): [CommandKind, Uint8Array] => [
          CommandKind.txn,
          encodeTxnRequest({ compare: [], success, failure: [] }),
        ]),
      lease.map((id): [CommandKind, Uint8Array] => [
        CommandKind.leaseGrant,
        encodeLeaseGrant({ id: id + 1n, ttlSeconds: 5 }),
      ]),
      lease.map((id): [CommandKind, Uint8Array] => [
        CommandKind.leaseRevoke,
        encodeLeaseRevoke({ ids: [id, 1n], leaderTerm: 0 }),
      ]),
      // Bytes that are not a message: rejected, identically on every member.
      fc.uint8Array({ maxLength: 6 }).map((bytes): [CommandKind, Uint8Array] => [CommandKind.txn, bytes]),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
        const one = await createMachine(selfId);
        const two = await createMachine(other);
        for (const [kind, body] of commands) {
          one.apply(kind, body);
          two.apply(kind, body);
        }
        expect(one.results.length).toBe(commands.length);
        expect(two.machine.store.revision).toBe(one.machine.store.revision);
        expect(await two.machine.store.hashKv(0)).toEqual(await one.machine.store.hashKv(0));
        expect([...two.machine.leases.all()]).toEqual([...one.machine.leases.all()]);
      }),
      { numRuns: 100, seed: 15 },
    );
  });
});
