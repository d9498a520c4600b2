import { describe, expect, it, vi } from "vitest";
import { rangeRequest } from "../api/range.ts";
import { encodeTxnRequest, type RequestOp, type ResponseOp } from "../api/txn.ts";
import { MemoryBackend } from "../mvcc/backend/backend.fake.ts";
import { openStore } from "../mvcc/mvcc-store.ts";
import type { ApplyResult } from "./apply-result.ts";
import { CommandKind, createCommandCodec } from "./command.ts";
import { StateMachine } from "./state-machine.ts";
import { executeDeleteRange, executeTxn, readTxn, responseTooLarge, writtenWithoutResponse } from "./txn.ts";

const selfId = "8e9e05c52164694d";
const key = (value: string): Uint8Array => Buffer.from(value);
const flags = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
const putOp = (name: string, prevKv = false): RequestOp => ({
  kind: "put",
  request: { ...flags, key: key(name), value: key("new"), prevKv },
});
const rangeOp = (name: string): RequestOp => ({ kind: "range", request: rangeRequest(key(name)) });

async function createMachine(values: Record<string, number>): Promise<{ machine: StateMachine; last(): ApplyResult }> {
  const results: ApplyResult[] = [];
  const store = await openStore({ backend: new MemoryBackend() });
  const machine = new StateMachine({ self: selfId, store });
  machine.listen({ completed: (_, result) => results.push(result) });
  const writing = store.beginWrite();
  for (const [name, bytes] of Object.entries(values)) writing.put(key(name), new Uint8Array(bytes), 0n);
  writing.end();
  return { machine, last: () => results.at(-1)! };
}

function apply({ machine }: { machine: StateMachine }, success: RequestOp[]): void {
  const body = encodeTxnRequest({ compare: [], success, failure: [] });
  machine.apply(1, 1, createCommandCodec(selfId).encode(CommandKind.txn, 1, body));
}

const kvCount = (response: ResponseOp | undefined): number =>
  response?.kind === "range" ? response.response.kvs.length : -1;

describe("the response of one request", () => {
  const large = { large: 4 << 20 };

  it("A6: is dropped above 256 MiB, but the transaction's writes are applied", async () => {
    const member = await createMachine(large);
    apply(member, [putOp("w"), ...Array<RequestOp>(64).fill(rangeOp("large"))]);
    expect(member.last()).toEqual(writtenWithoutResponse);
    expect(member.machine.store.get(key("w"))).toBeDefined();
  });

  it("A6: is complete up to 256 MiB", async () => {
    const member = await createMachine(large);
    apply(member, [putOp("w"), ...Array<RequestOp>(63).fill(rangeOp("large"))]);
    const result = member.last();
    expect(result.kind === "txn" && result.responses.every((one) => one.kind === "put" || kvCount(one) === 1)).toBe(
      true,
    );
  });

  it.each([
    { title: "another member's caller waits", self: "1111111111111111", isAwaited: true },
    { title: "the caller has given up", self: selfId, isAwaited: false },
  ])("is not read when $title, but the transaction's writes are applied", async ({ self, isAwaited }) => {
    const backend = new MemoryBackend();
    const store = await openStore({ backend });
    const machine = new StateMachine({ self, store });
    machine.listen({ completed: () => {}, isAwaited: () => isAwaited });
    const writing = store.beginWrite();
    writing.put(key("a"), key("1"), 0n);
    writing.end();
    const read = vi.spyOn(backend, "get");
    apply({ machine }, [
      putOp("w"),
      rangeOp("a"),
      { kind: "deleteRange", request: { key: key("a"), rangeEnd: key("b"), prevKv: true } },
    ]);
    expect(read).not.toHaveBeenCalled();
    expect([store.get(key("w")), store.get(key("a"))]).toEqual([expect.anything(), undefined]);
  });

  it("A6: of a read-only transaction is rejected above 256 MiB", async () => {
    const { machine } = await createMachine(large);
    const success = Array<RequestOp>(65).fill(rangeOp("large"));
    expect(readTxn(machine.store, { compare: [], success, failure: [] })).toEqual(responseTooLarge);
  });

  it("A6: counts previous key-values of puts and deletes, also in a nested transaction", async () => {
    const { machine } = await createMachine({ a: 1_000, b: 1_000 });
    const budget = { leftBytes: 2_500 };
    const writing = machine.store.beginWrite();
    const nested = { ops: [putOp("a", true)], nested: [], succeeded: true };
    const outer: RequestOp = { kind: "txn", request: { compare: [], success: nested.ops, failure: [] } };
    executeTxn(writing, { ops: [outer, putOp("b", true)], nested: [nested], succeeded: true }, budget);
    expect(budget.leftBytes).toBeLessThan(500);
    const cut = { leftBytes: 5 };
    const request = { key: key("a"), rangeEnd: key("c"), prevKv: true };
    expect(executeDeleteRange(writing, request, cut)).toMatchObject({ deleted: 2, prevKvs: { length: 1 } });
    expect(cut.leftBytes).toBeLessThan(0);
    writing.end();
  });
});
