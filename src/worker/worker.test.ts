import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type EtcdFixture, etcdInstalled, startEtcd } from "../../test/support/etcd-process.ts";
import { systemClock } from "../base/clock.ts";
import { readWorkerReports, type WorkerReport } from "../control-plane/worker-reports.ts";
import { openMemberChannel } from "../etcd-client/member-channel.ts";
import { runWorker } from "./worker.ts";
import { loadWorkerConfig } from "./worker-config.ts";

const address = "127.77.18.81";
const endpoint = `http://${address}:2379`;

let directory: string;
let etcd: EtcdFixture | null = null;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-worker-"));
});
afterEach(async () => {
  await etcd?.stop();
  etcd = null;
  rmSync(directory, { recursive: true, force: true });
});

async function reportsUntil(wanted: (reports: readonly WorkerReport[]) => boolean): Promise<readonly WorkerReport[]> {
  let reports: readonly WorkerReport[] = [];
  for (let i = 0; i < 100; i++) {
    reports = await readWorkerReports({ endpoints: [endpoint], tls: null }, 3000).catch(() => []);
    if (wanted(reports)) break;
    await systemClock.sleep(100);
  }
  return reports;
}

describe.skipIf(!etcdInstalled)("a worker", () => {
  it("reports under a lease, comes back after the control plane was gone, and takes its report back", async () => {
    const events: string[] = [];
    const stop = new AbortController();
    const config = { name: "w1", endpoint, reportKey: "/haplan/workers/w1", tls: null };
    const working = runWorker(config, openMemberChannel(endpoint, null), (event) => events.push(event), stop.signal);
    await systemClock.sleep(100);
    etcd = await startEtcd(address, directory);
    const [report] = await reportsUntil((reports) => reports.length === 1);
    expect(report).toMatchObject({ name: "w1", endpoint, pid: process.pid, readLatencyMs: expect.any(Number) });
    const before = report!.lastSuccessAt;
    await etcd.stop();
    await systemClock.sleep(1100);
    etcd = await startEtcd(address, directory);
    const [later] = await reportsUntil((reports) => reports.length === 1 && reports[0]!.lastSuccessAt > before);
    expect(later?.name).toBe("w1");
    stop.abort();
    await working;
    expect(await readWorkerReports({ endpoints: [endpoint], tls: null }, 3000)).toEqual([]);
    expect(events).toEqual(["unusable", "usable", "unusable", "usable"]);
  });
});

it.each([
  ["{", /it is truncated/],
  ['{"name":"w1","endpoint":"127.0.0.1:2379","reportKey":"k","tls":null}', /\/endpoint must match/],
  ['{"name":"w1"}', /must have required property 'endpoint'/],
  [
    '{"name":"w1","endpoint":"https://lb:1","reportKey":"k","tls":{"caFile":"/none","certFile":"","keyFile":""}}',
    /Cannot read "\/none"/,
  ],
])("a worker's configuration %s is refused with what is wrong", (text, message) => {
  const path = join(directory, "worker.json");
  writeFileSync(path, text);
  expect(() => loadWorkerConfig(path)).toThrow(message);
});
