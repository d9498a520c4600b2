import { describe, expect, it } from "vitest";
import { encodePutRequest } from "../../api/put.ts";
import type { SlowRequest } from "../../grpc/slow-requests.ts";
import { goDuration, RequestStats } from "./request-stats.ts";

const put: SlowRequest = {
  path: "/etcdserverpb.KV/Put",
  remoteAddress: "127.0.0.1:46568",
  tookMs: 412.5,
  request: encodePutRequest({
    key: Buffer.from("k"),
    value: Buffer.from("secret"),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  }),
  requestBytes: 11,
  responseBytes: 28,
  responseCount: 0,
};

function openStats() {
  const lines: object[] = [];
  const time = { nowMs: 1_000_000 };
  const logger = { warn: (fields: object, message: string) => void lines.push({ ...fields, msg: message }) };
  return { lines, time, stats: new RequestStats(300, logger as never, () => time.nowMs) };
}

describe("A15: request stats", () => {
  it("have etcd's fields, and not the value", () => {
    const { lines, stats } = openStats();
    stats.onSlow(put);
    stats.onSlow({ ...put, path: "/etcdserverpb.Maintenance/Status", request: null });
    stats.onSlow({ ...put, request: null, requestBytes: 9_000 });
    stats.onSlow({ ...put, path: "/etcdserverpb.KV/Txn", request: Buffer.from([0xff]), responseCount: null });
    expect(lines).toMatchObject([
      {
        msg: "request stats",
        "start time": "1970-01-01T00:16:39.587Z",
        "time spent": "412.5ms",
        remote: "127.0.0.1:46568",
        "response type": "/etcdserverpb.KV/Put",
        "request count": 1,
        "request size": 11,
        "response count": 0,
        "response size": 28,
        "request content": 'key:"k" value_size:6 ',
      },
      { "request count": -1, "request size": -1, "response count": -1, "response size": -1, "request content": "" },
      { "request count": 1, "request size": 9_000, "request content": "" },
      { "request count": -1, "response count": -1, "request content": "" },
    ]);
  });

  it("are at most twenty per second, and count the others", () => {
    const { lines, time, stats } = openStats();
    for (let i = 0; i < 100; i++) stats.onSlow(put);
    expect(lines.length).toBe(20);
    time.nowMs += 1_000;
    stats.onSlow(put);
    stats.onSlow(put);
    expect(lines.slice(20)).toMatchObject([{ omitted: 80 }, { msg: "request stats" }]);
    expect(lines.at(-1)).not.toHaveProperty("omitted");
  });

  it.each([
    [0.618782, "618.782µs"],
    [2.195483, "2.195483ms"],
    [1_500, "1.5s"],
    [61_500, "1m1.5s"],
  ])("format %d ms like Go", (milliseconds, text) => {
    expect(goDuration(milliseconds)).toBe(text);
  });
});
