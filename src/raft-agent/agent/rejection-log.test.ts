import { describe, expect, it } from "vitest";
import type { RejectedConnection } from "../../base/rejected-connection.ts";
import { RejectionLog } from "./rejection-log.ts";

function openLog() {
  const lines: [level: string, fields: object, message: string][] = [];
  const time = { nowMs: 0 };
  const logger = {
    warn: (fields: object, message: string) => void lines.push(["warn", fields, message]),
    debug: (fields: object, message: string) => void lines.push(["debug", fields, message]),
  };
  return { lines, time, log: new RejectionLog("peer", logger as never, () => time.nowMs) };
}

const rejection: RejectedConnection = {
  remoteAddress: "127.0.0.1:5555",
  serverName: "m2",
  names: { ipAddresses: ["10.0.0.2"], dnsNames: ["m2"] },
  error: "x509: expired",
  isGone: false,
};

describe("A15: the log of rejected connections", () => {
  it("A low, R small: has etcd's fields and texts", () => {
    const { log, lines } = openLog();
    log.add(rejection);
    log.add({ ...rejection, names: null, error: "EOF", isGone: true });
    expect(lines).toEqual([
      [
        "warn",
        {
          "remote-addr": "127.0.0.1:5555",
          "server-name": "m2",
          "ip-addresses": ["10.0.0.2"],
          "dns-names": ["m2"],
          error: "x509: expired",
        },
        "rejected connection on peer endpoint",
      ],
      [
        "debug",
        { "remote-addr": "127.0.0.1:5555", "server-name": "m2", error: "EOF" },
        "rejected connection on peer endpoint",
      ],
    ]);
  });

  it("has one that recurs five times per second for an hour a few times, and counts them all", () => {
    const { log, lines, time } = openLog();
    let calls = 0;
    for (; time.nowMs < 3_600_000; time.nowMs += 200, calls++) {
      log.add({ ...rejection, remoteAddress: `127.0.0.1:${5_000 + calls}` });
    }
    expect(lines.length).toBeLessThan(18);
    const counted = lines.reduce((sum, [, fields]) => sum + 1 + ((fields as { repeated?: number }).repeated ?? 0), 0);
    expect(counted).toBeGreaterThan(calls - 600 * 5 - 1);
    expect(lines.slice(0, 4).map(([, fields]) => (fields as { repeated?: number }).repeated)).toEqual([
      undefined,
      4,
      9,
      19,
    ]);
  });

  it("has another client, another reason, and one that recurs after a pause at once", () => {
    const { log, lines, time } = openLog();
    log.add(rejection);
    log.add({ ...rejection, remoteAddress: "127.0.0.2:5555" });
    log.add({ ...rejection, error: "other" });
    expect(lines.length).toBe(3);
    time.nowMs = 10_000;
    log.add(rejection);
    log.add(rejection);
    time.nowMs = 11_000;
    log.add(rejection);
    expect(lines.length).toBe(5);
  });

  it("distinguishes at most 256", () => {
    const { log, lines } = openLog();
    for (let host = 0; host < 300; host++) log.add({ ...rejection, remoteAddress: `10.0.${host}.1:1` });
    log.add({ ...rejection, remoteAddress: "10.0.299.1:2" });
    expect(lines.length).toBe(300);
    log.add({ ...rejection, remoteAddress: "10.0.0.1:2" });
    expect(lines.length).toBe(301);
  });
});
