import { describe, expect, it } from "vitest";
import { createHarness, type Harness, self } from "../../../test/support/single-member.ts";
import { encodeCompactionRequest } from "../api/compaction.ts";
import { type Compare, CompareResult, CompareTarget } from "../api/compare.ts";
import { decodeDeleteRangeResponse, encodeDeleteRangeRequest } from "../api/delete-range.ts";
import { decodeKeyValue } from "../api/key-value.ts";
import { decodePutResponse, encodePutRequest, type PutRequest } from "../api/put.ts";
import { decodeRangeResponse, encodeRangeRequest, type RangeRequest, rangeRequest } from "../api/range.ts";
import { StatusCode } from "../api/status-code.ts";
import { decodeTxnResponse, encodeTxnRequest, type RequestOp, type TxnRequest } from "../api/txn.ts";
import { AlarmType } from "../state-machine/apply-result.ts";
import { CommandKind } from "../state-machine/command.ts";
import { AlarmAction, encodeAlarm } from "../state-machine/command-body.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";

const text = (value: string): Uint8Array => Buffer.from(value);

function put(key: string, value = "", overrides: Partial<PutRequest> = {}): PutRequest {
  const plain = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { key: text(key), value: text(value), ...plain, ...overrides };
}

const txnOf = (parts: Partial<TxnRequest>): TxnRequest => ({ compare: [], success: [], failure: [], ...parts });
const putOp = (key: string, value = "", overrides: Partial<PutRequest> = {}): RequestOp => ({
  kind: "put",
  request: put(key, value, overrides),
});
const rangeOp = (key: string, overrides: Partial<RangeRequest> = {}): RequestOp => ({
  kind: "range",
  request: rangeRequest(text(key), overrides),
});
const deleteOp = (key: string, end = ""): RequestOp => ({
  kind: "deleteRange",
  request: { key: text(key), rangeEnd: text(end), prevKv: false },
});
const txnOp = (parts: Partial<TxnRequest>): RequestOp => ({ kind: "txn", request: txnOf(parts) });
const compare = (parts: Partial<Compare>): Compare => ({
  result: CompareResult.equal,
  target: CompareTarget.version,
  key: text("k"),
  operand: { kind: "none" },
  rangeEnd: text(""),
  ...parts,
});

const send = {
  put: (harness: Harness, request: PutRequest) => harness.unary("/etcdserverpb.KV/Put", encodePutRequest(request)),
  range: (harness: Harness, request: RangeRequest) =>
    harness.unary("/etcdserverpb.KV/Range", encodeRangeRequest(request)),
  txn: (harness: Harness, request: TxnRequest) => harness.unary("/etcdserverpb.KV/Txn", encodeTxnRequest(request)),
  delete: (harness: Harness, key: string, rangeEnd = "", prevKv = false) =>
    harness.unary(
      "/etcdserverpb.KV/DeleteRange",
      encodeDeleteRangeRequest({ key: text(key), rangeEnd: text(rangeEnd), prevKv }),
    ),
  compact: (harness: Harness, revision: number, physical = false) =>
    harness.unary("/etcdserverpb.KV/Compact", encodeCompactionRequest({ revision, physical })),
};

const statusOf = (error: EtcdError): { code: StatusCode; text: string } => ({ code: error.code, text: error.text });

describe("KV service", () => {
  it("puts, reads, overwrites and deletes with etcd's revisions", async () => {
    const harness = await createHarness();
    const first = decodePutResponse((await send.put(harness, put("a", "1"))).messages[0]!);
    expect(first.header).toMatchObject({ memberId: 0x8e9e05c52164694dn, revision: 2, raftTerm: 2 });
    const second = decodePutResponse((await send.put(harness, put("a", "2", { prevKv: true }))).messages[0]!);
    expect(second.header?.revision).toBe(3);
    expect(Buffer.from(decodeKeyValue(second.prevKv!).value).toString()).toBe("1");
    const read = decodeRangeResponse((await send.range(harness, rangeRequest(text("a")))).messages[0]!);
    expect(decodeKeyValue(read.kvs[0]!)).toMatchObject({ createRevision: 2, modRevision: 3, version: 2 });
    const old = decodeRangeResponse((await send.range(harness, rangeRequest(text("a"), { revision: 2 }))).messages[0]!);
    expect(old.header?.revision).toBe(3);
    const none = decodeDeleteRangeResponse((await send.delete(harness, "b")).messages[0]!);
    expect([none.deleted, none.header?.revision]).toEqual([0, 3]);
    const gone = decodeDeleteRangeResponse((await send.delete(harness, "a", "b", true)).messages[0]!);
    expect([gone.deleted, gone.prevKvs.length, gone.header?.revision]).toEqual([1, 1, 4]);
  });

  it("keeps value or lease of a key that is put with ignore_value or ignore_lease", async () => {
    const harness = await createHarness();
    await send.put(harness, put("a", "1"));
    await send.put(harness, put("a", "", { ignoreValue: true }));
    const read = decodeRangeResponse((await send.range(harness, rangeRequest(text("a")))).messages[0]!);
    expect(decodeKeyValue(read.kvs[0]!)).toMatchObject({ version: 2, value: new Uint8Array(text("1")) });
  });

  const badRequests: [string, EtcdError, (harness: Harness) => ReturnType<Harness["unary"]>][] = [
    ["put without a key", EtcdErrors.emptyKey, (harness) => send.put(harness, put(""))],
    [
      "put of ignored value",
      EtcdErrors.valueProvided,
      (harness) => send.put(harness, put("k", "v", { ignoreValue: true })),
    ],
    [
      "put of ignored lease",
      EtcdErrors.leaseProvided,
      (harness) => send.put(harness, put("k", "", { ignoreLease: true, lease: 1n })),
    ],
    [
      "put that keeps the value of an absent key",
      EtcdErrors.keyNotFound,
      (harness) => send.put(harness, put("k", "", { ignoreValue: true })),
    ],
    ["put on an unknown lease", EtcdErrors.leaseNotFound, (harness) => send.put(harness, put("k", "", { lease: 9n }))],
    [
      "put above the size limit",
      EtcdErrors.requestTooLarge,
      (harness) => send.put(harness, put("k", "v".repeat(1_600_000))),
    ],
    ["range without a key", EtcdErrors.emptyKey, (harness) => send.range(harness, rangeRequest(text("")))],
    [
      "range of an unknown order",
      EtcdErrors.invalidSortOption,
      (harness) => send.range(harness, rangeRequest(text("k"), { sortOrder: 3 })),
    ],
    [
      "range of an unknown target",
      EtcdErrors.invalidSortOption,
      (harness) => send.range(harness, rangeRequest(text("k"), { sortTarget: 5 })),
    ],
    [
      "range in the future",
      EtcdErrors.futureRevision,
      (harness) => send.range(harness, rangeRequest(text("k"), { revision: 99 })),
    ],
    ["delete without a key", EtcdErrors.emptyKey, (harness) => send.delete(harness, "")],
    ["compaction in the future", EtcdErrors.futureRevision, (harness) => send.compact(harness, 99)],
    [
      "txn with an empty operation",
      EtcdErrors.keyNotFound,
      (harness) => send.txn(harness, txnOf({ success: [{ kind: "none" }] })),
    ],
    [
      "txn with a compare without key",
      EtcdErrors.emptyKey,
      (harness) => send.txn(harness, txnOf({ compare: [compare({ key: text("") })] })),
    ],
    [
      "txn with too many operations",
      EtcdErrors.tooManyOps,
      (harness) => send.txn(harness, txnOf({ failure: Array.from({ length: 129 }, (_, at) => putOp(`k${at}`)) })),
    ],
    [
      "txn whose nested txn exceeds the remaining limit",
      EtcdErrors.tooManyOps,
      (harness) => {
        const inner = txnOp({ success: Array.from({ length: 128 }, (_, at) => putOp(`k${at}`)) });
        return send.txn(harness, txnOf({ success: [inner] }));
      },
    ],
    [
      "txn with an unknown lease",
      EtcdErrors.leaseNotFound,
      (harness) => send.txn(harness, txnOf({ success: [putOp("a"), putOp("k", "", { lease: 9n })] })),
    ],
    [
      "txn that keeps the value of an absent key",
      EtcdErrors.keyNotFound,
      (harness) => send.txn(harness, txnOf({ success: [putOp("a"), putOp("k", "", { ignoreLease: true })] })),
    ],
    [
      "txn that writes and reads the future",
      EtcdErrors.futureRevision,
      (harness) => send.txn(harness, txnOf({ success: [putOp("a"), rangeOp("a", { revision: 99 })] })),
    ],
    [
      "txn that only reads the future",
      EtcdErrors.futureRevision,
      (harness) => send.txn(harness, txnOf({ success: [rangeOp("a", { revision: 99 })] })),
    ],
  ];
  for (const [name, error, run] of badRequests) {
    it(`rejects a ${name} and writes nothing`, async () => {
      const harness = await createHarness();
      expect((await run(harness)).status).toEqual(statusOf(error));
      expect(harness.services.machine.store.revision).toBe(1);
    });
  }

  it("rejects compacted revisions, and a compaction at or below them", async () => {
    const harness = await createHarness();
    for (const value of ["1", "2", "3"]) await send.put(harness, put("a", value));
    expect((await send.compact(harness, 3, true)).status?.code).toBe(StatusCode.ok);
    expect((await send.range(harness, rangeRequest(text("a"), { revision: 2 }))).status).toEqual(
      statusOf(EtcdErrors.compacted),
    );
    expect((await send.range(harness, rangeRequest(text("a"), { revision: 3 }))).status?.code).toBe(StatusCode.ok);
    expect((await send.compact(harness, 3)).status).toEqual(statusOf(EtcdErrors.compacted));
    expect((await send.compact(harness, 0)).status).toEqual(statusOf(EtcdErrors.compacted));
  });

  const duplicates: [string, boolean, Partial<TxnRequest>][] = [
    ["two puts of one key", true, { success: [putOp("a"), putOp("a")] }],
    ["two puts of one key in the failure branch", true, { failure: [putOp("a"), putOp("a")] }],
    ["a put inside a deleted range", true, { success: [deleteOp("a", "c"), putOp("b")] }],
    ["a put at the end of a deleted range", false, { success: [deleteOp("a", "b"), putOp("b")] }],
    ["a put after all keys from one on were deleted", false, { success: [deleteOp("a", "\0"), putOp("z")] }],
    ["two deletes of one range", false, { success: [deleteOp("a", "c"), deleteOp("b", "d")] }],
    ["one key in both branches", false, { success: [putOp("a")], failure: [putOp("a")] }],
    [
      "one key in both branches of a nested txn",
      false,
      { success: [txnOp({ success: [putOp("a")], failure: [putOp("a")] })] },
    ],
    ["a nested put of a key put outside", true, { success: [putOp("a"), txnOp({ success: [putOp("a")] })] }],
    [
      "a nested put in a range deleted outside",
      true,
      { success: [deleteOp("a", "c"), txnOp({ failure: [putOp("b")] })] },
    ],
    ["a nested delete of a key put outside", true, { success: [putOp("b"), txnOp({ failure: [deleteOp("a", "c")] })] }],
    [
      "two nested txns with one key",
      true,
      { success: [txnOp({ success: [putOp("a")] }), txnOp({ failure: [putOp("a")] })] },
    ],
  ];
  for (const [name, duplicate, parts] of duplicates) {
    it(`${duplicate ? "rejects" : "allows"} a txn with ${name}`, async () => {
      const harness = await createHarness();
      const { status } = await send.txn(harness, txnOf(parts));
      expect(status).toEqual(duplicate ? statusOf(EtcdErrors.duplicateKey) : { code: StatusCode.ok, text: "" });
    });
  }

  const { version, create, mod, value, lease } = CompareTarget;
  const { equal, greater, less, notEqual } = CompareResult;
  const compares: [string, boolean, Partial<Compare>][] = [
    ["version of a key", true, { target: version, operand: { kind: "version", number: 2 } }],
    ["version greater", true, { target: version, result: greater, operand: { kind: "version", number: 1 } }],
    ["create revision", true, { target: create, operand: { kind: "createRevision", number: 2 } }],
    ["mod revision less", false, { target: mod, result: less, operand: { kind: "modRevision", number: 3 } }],
    ["value", true, { target: value, operand: { kind: "value", bytes: text("2") } }],
    ["value not equal", false, { target: value, result: notEqual, operand: { kind: "value", bytes: text("2") } }],
    ["no lease", true, { target: lease, operand: { kind: "lease", lease: 0n } }],
    [
      "an operand of another kind counts as zero",
      true,
      { target: version, result: greater, operand: { kind: "modRevision", number: 99 } },
    ],
    [
      "version of an absent key is zero",
      true,
      { key: text("none"), target: version, operand: { kind: "version", number: 0 } },
    ],
    ["mod revision of an absent key is zero", true, { key: text("none"), target: mod, result: equal }],
    [
      "value of an absent key is never equal",
      false,
      { key: text("none"), target: value, operand: { kind: "value", bytes: text("") } },
    ],
    [
      "value of an absent key is never unequal",
      false,
      { key: text("none"), target: value, result: notEqual, operand: { kind: "value", bytes: text("x") } },
    ],
    [
      "all keys of a range hold",
      true,
      {
        key: text("k"),
        rangeEnd: text("l"),
        target: create,
        result: greater,
        operand: { kind: "createRevision", number: 1 },
      },
    ],
    [
      "one key of a range does not hold",
      false,
      { key: text("k"), rangeEnd: text("l"), target: version, operand: { kind: "version", number: 2 } },
    ],
  ];
  for (const [name, succeeded, parts] of compares) {
    it(`evaluates to ${succeeded}: ${name}`, async () => {
      const harness = await createHarness();
      for (const [key, val] of [
        ["k", "1"],
        ["k", "2"],
        ["k2", "1"],
      ] as const)
        await send.put(harness, put(key, val));
      const answer = decodeTxnResponse((await send.txn(harness, txnOf({ compare: [compare(parts)] }))).messages[0]!);
      expect(answer.succeeded).toBe(succeeded);
      const inWrite = txnOf({ compare: [compare(parts)], success: [putOp("s")], failure: [putOp("f")] });
      expect(decodeTxnResponse((await send.txn(harness, inWrite)).messages[0]!).succeeded).toBe(succeeded);
    });
  }

  it("sees its own writes in a txn, evaluates nested conditions before them, and bumps one revision", async () => {
    const harness = await createHarness();
    const absent = compare({ key: text("a"), target: CompareTarget.create });
    const request = txnOf({
      success: [
        rangeOp("a"),
        putOp("a", "1"),
        rangeOp("a"),
        txnOp({ compare: [absent], success: [putOp("b", "nested")] }),
        deleteOp("z"),
      ],
    });
    const answer = decodeTxnResponse((await send.txn(harness, request)).messages[0]!);
    expect(answer.header?.revision).toBe(2);
    const shown = answer.responses.map((op) => {
      if (op.kind === "range") return [op.kind, op.response.header?.revision, op.response.count];
      if (op.kind === "txn") return [op.kind, op.response.header?.revision, op.response.succeeded];
      if (op.kind === "deleteRange") return [op.kind, op.response.header?.revision, op.response.deleted];
      return op.kind === "put" ? [op.kind, op.response.header?.revision] : [op.kind];
    });
    expect(shown).toEqual([
      ["range", 1, 0],
      ["put", 2],
      ["range", 2, 1],
      ["txn", 0, true],
      ["deleteRange", 2, 0],
    ]);
  });

  it("keeps the revision when the chosen branch changes nothing", async () => {
    const harness = await createHarness();
    await send.put(harness, put("a"));
    const answer = decodeTxnResponse((await send.txn(harness, txnOf({ success: [deleteOp("x")] }))).messages[0]!);
    expect(answer.header?.revision).toBe(2);
  });

  it("rejects requests that need space under a NOSPACE alarm, but allows deletes", async () => {
    const harness = await createHarness();
    await send.put(harness, put("a"));
    const alarm = { member: self, type: AlarmType.noSpace };
    harness.services.context.proposer.propose(
      CommandKind.alarm,
      encodeAlarm({ action: AlarmAction.activate, alarm }),
      () => {},
    );
    expect((await send.put(harness, put("b"))).status).toEqual(statusOf(EtcdErrors.noSpace));
    expect((await send.txn(harness, txnOf({ failure: [putOp("b")] }))).status).toEqual(statusOf(EtcdErrors.noSpace));
    expect((await send.delete(harness, "a")).status?.code).toBe(StatusCode.ok);
    expect((await send.compact(harness, 3)).status?.code).toBe(StatusCode.ok);
    harness.services.tick();
    await Promise.resolve();
    await Promise.resolve();
    expect((await send.put(harness, put("b"))).status?.code).toBe(StatusCode.ok);
  });

  it("raises NOSPACE for the cluster when its quota is exceeded", async () => {
    const harness = await createHarness({ quotaBytes: 1_000 });
    expect((await send.put(harness, put("a", "v".repeat(500)))).status?.code).toBe(StatusCode.ok);
    expect((await send.put(harness, put("b", "v".repeat(500)))).status).toEqual(statusOf(EtcdErrors.noSpace));
    await Promise.resolve();
    expect(harness.services.machine.alarms.list(0)).toEqual([{ member: self, type: AlarmType.noSpace }]);
  });

  for (const [name, makeRoom] of [
    ["a physical compaction", (harness: Harness) => send.compact(harness, 3, true)],
    [
      "a defragmentation",
      (harness: Harness) => harness.unary("/etcdserverpb.Maintenance/Defragment", new Uint8Array(0)),
    ],
  ] as const) {
    it(`A8: accepts a put right after ${name} that has freed space, without waiting for the next measurement`, async () => {
      const harness = await createHarness({ quotaBytes: 1_000 });
      await send.put(harness, put("a", "v".repeat(500)));
      expect((await send.put(harness, put("b", "v".repeat(500)))).status).toEqual(statusOf(EtcdErrors.noSpace));
      await send.delete(harness, "a");
      if (!name.includes("compaction")) await send.compact(harness, 3);
      expect((await makeRoom(harness)).status).toEqual({ code: StatusCode.ok, text: "" });
      expect((await send.put(harness, put("b", "v".repeat(500)))).status).toEqual({ code: StatusCode.ok, text: "" });
      expect(harness.services.machine.alarms.list(0)).toEqual([]);
    });
  }

  it("A8: accepts a put right after the alarm is disarmed when there is space", async () => {
    const harness = await createHarness({ quotaBytes: 1_000 });
    await send.put(harness, put("a", "v".repeat(500)));
    await send.put(harness, put("b", "v".repeat(500)));
    await send.delete(harness, "a");
    await send.compact(harness, 3);
    await new Promise(setImmediate);
    const alarm = { member: self, type: AlarmType.noSpace };
    await harness.unary("/etcdserverpb.Maintenance/Alarm", encodeAlarm({ action: AlarmAction.deactivate, alarm }));
    expect((await send.put(harness, put("b", "v".repeat(500)))).status).toEqual({ code: StatusCode.ok, text: "" });
  });

  it("rejects everything that touches data under a CORRUPT alarm", async () => {
    const harness = await createHarness();
    const alarm = { member: self, type: AlarmType.corrupt };
    harness.services.context.proposer.propose(
      CommandKind.alarm,
      encodeAlarm({ action: AlarmAction.activate, alarm }),
      () => {},
    );
    expect((await send.put(harness, put("b"))).status).toEqual(statusOf(EtcdErrors.corrupt));
    // Reading stays possible, as in etcd: the operator has to inspect what is left.
    expect((await send.range(harness, rangeRequest(text("b")))).status).toEqual({ code: StatusCode.ok, text: "" });
  });
});

describe("KV service without a working leader", () => {
  it("responds `request timed out` to writes and linearizable reads after seven seconds, and still serves serializable reads", async () => {
    const harness = await createHarness();
    await send.put(harness, put("a", "1"));
    harness.consensus.leader = null;
    const written = send.put(harness, put("b"));
    const read = send.range(harness, rangeRequest(text("a")));
    await Promise.resolve();
    harness.clock.nowMs += 6_999;
    harness.services.tick();
    harness.clock.nowMs += 1;
    harness.services.tick();
    expect((await written).status).toEqual(statusOf(EtcdErrors.timeout));
    expect((await read).status).toEqual(statusOf(EtcdErrors.timeout));
    const serializable = await send.range(harness, rangeRequest(text("a"), { serializable: true }));
    expect(decodeRangeResponse(serializable.messages[0]!).count).toBe(1);
  });

  it("accepts writes that arrived before the leader", async () => {
    const harness = await createHarness();
    harness.consensus.leader = null;
    const written = send.put(harness, put("b"));
    harness.consensus.leader = self;
    harness.services.leadershipChanged();
    expect((await written).status?.code).toBe(StatusCode.ok);
  });

  it("responds `no leader` at once to calls with `hasleader`", async () => {
    const harness = await createHarness();
    harness.consensus.leader = null;
    const call = await harness.unary("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest(text("a"))), {
      hasleader: "true",
    });
    expect(call.status).toEqual(statusOf(EtcdErrors.noLeader));
  });

  it("responds `leader changed` to reads whose leader is lost", async () => {
    const harness = await createHarness();
    harness.consensus.swallowReads = true;
    const read = send.range(harness, rangeRequest(text("a")));
    await Promise.resolve();
    harness.services.readFailed(1);
    expect((await read).status).toEqual(statusOf(EtcdErrors.leaderChanged));
  });

  it("responds `too many requests` when applying lags more than 5000 entries", async () => {
    const harness = await createHarness();
    harness.consensus.lag = 5_001;
    expect((await send.put(harness, put("a"))).status).toEqual(statusOf(EtcdErrors.tooManyRequests));
  });

  it("responds `server stopped` to every waiting caller when it stops", async () => {
    const harness = await createHarness();
    harness.consensus.swallowProposals = true;
    const written = send.put(harness, put("b"));
    harness.services.stop();
    expect((await written).status).toEqual(statusOf(EtcdErrors.stopped));
    expect((await send.range(harness, rangeRequest(text("a")))).status).toEqual(statusOf(EtcdErrors.stopped));
  });

  it("rejects an invalid client API version", async () => {
    const harness = await createHarness();
    const request = encodeRangeRequest(rangeRequest(text("a")));
    const bad = await harness.unary("/etcdserverpb.KV/Range", request, { "client-api-version": "newest" });
    expect(bad.status).toEqual(statusOf(EtcdErrors.invalidClientApiVersion));
    const good = await harness.unary("/etcdserverpb.KV/Range", request, { "client-api-version": "3.5" });
    expect(good.status?.code).toBe(StatusCode.ok);
  });
});
