/** Tests Maintenance.Snapshot on a member in memory: the messages, their order, and a client that does not read. */
import { createHash } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it, vi } from "vitest";
import { createHarness, type Harness, type RecordedCall } from "../../../test/support/single-member.ts";
import { SnapshotResponseSchema } from "../api/gen/etcdserverpb/rpc_pb.ts";
import { StatusCode } from "../api/status-code.ts";
import { DatabaseReader } from "../bbolt/database-reader.ts";
import { bytesSource } from "../bbolt/page-source.ts";

const path = "/etcdserverpb.Maintenance/Snapshot";

/** A member with some data, and the number of its open views. */
async function harnessWithData(): Promise<{ harness: Harness; openViews: () => number }> {
  const harness = await createHarness();
  const { store } = harness.services.machine;
  for (let i = 0; i < 100; i++) {
    const txn = store.beginWrite();
    txn.put(Buffer.from(`k${i}`), Buffer.alloc(1000, "v"), 0n);
    txn.end();
  }
  let open = 0;
  const view = store.view.bind(store);
  store.view = async () => {
    open++;
    const opened = await view();
    return { ...opened, close: () => void open-- };
  };
  return { harness, openViews: () => open };
}

const responses = (call: RecordedCall) => call.messages.map((bytes) => fromBinary(SnapshotResponseSchema, bytes));

describe("Snapshot", () => {
  it("sends the database in small messages with the remaining size, and its SHA-256 at the end", async () => {
    const { harness, openViews } = await harnessWithData();
    const { call, handler } = harness.stream(path);
    handler.onMessage(new Uint8Array(0));
    handler.onHalfClose();
    await vi.waitFor(() => expect(call.status).toEqual({ code: StatusCode.ok, text: "" }));
    const messages = responses(call);
    const database = Buffer.concat(messages.slice(0, -1).map(({ blob }) => blob));
    let left = database.length;
    for (const { blob, remainingBytes, version } of messages.slice(0, -1)) {
      expect(blob.length).toBeLessThanOrEqual(32 * 1024);
      left -= blob.length;
      expect([Number(remainingBytes), version]).toEqual([left, "3.5.0"]);
    }
    expect(Buffer.from(messages.at(-1)!.blob)).toEqual(createHash("sha256").update(database).digest());
    expect([...new DatabaseReader(bytesSource(database)).entries("key")]).toHaveLength(100);
    expect(openViews()).toBe(0);
  });

  it("waits for a client that does not read, and releases the view when it disconnects", async () => {
    const { harness, openViews } = await harnessWithData();
    const { call, handler } = harness.stream(path);
    call.accepting = false;
    handler.onMessage(new Uint8Array(0));
    await vi.waitFor(() => expect(call.messages).toHaveLength(1));
    handler.onDrain();
    await vi.waitFor(() => expect(call.messages).toHaveLength(2));
    await new Promise((resolve) => setImmediate(resolve));
    expect([call.messages.length, openViews()]).toEqual([2, 1]);
    call.close();
    handler.onClose();
    await vi.waitFor(() => expect(openViews()).toBe(0));
    expect(call.messages).toHaveLength(2);
  });

  it("is rejected beyond four at a time, and without a request", async () => {
    const { harness } = await harnessWithData();
    const open = Array.from({ length: 4 }, () => harness.stream(path));
    expect(harness.stream(path).call.status?.text).toBe("etcdserver: too many requests");
    open[0]!.handler.onClose();
    const { call, handler } = harness.stream(path);
    handler.onHalfClose();
    expect(call.status?.code).toBe(StatusCode.internal);
  });
});
