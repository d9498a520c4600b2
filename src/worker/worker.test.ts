import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import { openMemberChannel } from "../control-plane/open-member-channel.ts";
import { readWorkerReports, type WorkerReport } from "../control-plane/worker-reports.ts";
import { runWorker } from "./worker.ts";
import { loadWorkerConfig } from "./worker-config.ts";

const hasEtcd = execaSync("etcd", ["--version"], { reject: false }).exitCode === 0;
const endpoint = "http://127.77.18.81:23792";

let folder: string;
let etcd: ChildProcess | null = null;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "haplan-worker-"));
});
afterEach(async () => {
  await killEtcd();
  rmSync(folder, { recursive: true, force: true });
});

function startEtcd(): void {
  const peer = "http://127.77.18.81:23802";
  etcd = spawn(
    "etcd",
    [
      "--name=m1",
      `--data-dir=${join(folder, "data")}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=m1=${peer}`,
      "--heartbeat-interval=20",
      "--election-timeout=200",
    ],
    { stdio: "ignore" },
  );
}

async function killEtcd(): Promise<void> {
  if (etcd === null) return;
  const ended = once(etcd, "exit");
  etcd.kill("SIGKILL");
  await ended;
  etcd = null;
}

async function reportsUntil(wanted: (reports: readonly WorkerReport[]) => boolean): Promise<readonly WorkerReport[]> {
  let reports: readonly WorkerReport[] = [];
  for (let i = 0; i < 100; i++) {
    reports = await readWorkerReports({ endpoints: [endpoint], tls: null }, 3000).catch(() => []);
    if (wanted(reports)) break;
    await systemClock.sleep(100);
  }
  return reports;
}

describe.skipIf(!hasEtcd)("a worker", () => {
  it("reports under a lease, comes back after the control plane was gone, and takes its report back", async () => {
    const events: string[] = [];
    const stop = new AbortController();
    const config = { name: "w1", endpoint, reportKey: "/haplan/workers/w1", tls: null };
    const working = runWorker(config, openMemberChannel(endpoint, null), (event) => events.push(event), stop.signal);
    await systemClock.sleep(100);
    startEtcd();
    const [report] = await reportsUntil((reports) => reports.length === 1);
    expect(report).toMatchObject({ name: "w1", endpoint, pid: process.pid, readLatencyMs: expect.any(Number) });
    const before = report!.lastSuccessAt;
    await killEtcd();
    await systemClock.sleep(1100);
    startEtcd();
    const [later] = await reportsUntil((reports) => reports.length === 1 && reports[0]!.lastSuccessAt > before);
    expect(later?.name).toBe("w1");
    stop.abort();
    await working;
    expect(await readWorkerReports({ endpoints: [endpoint], tls: null }, 3000)).toEqual([]);
    expect(events).toEqual(["unusable", "usable", "unusable", "usable"]);
  });
});

it.each([
  ["{", /not JSON/],
  ['{"name":"w1","endpoint":"127.0.0.1:2379","reportKey":"k","tls":null}', /\/endpoint must match/],
  ['{"name":"w1"}', /must have required property 'endpoint'/],
  [
    '{"name":"w1","endpoint":"https://lb:1","reportKey":"k","tls":{"caFile":"/none","certFile":"","keyFile":""}}',
    /Cannot read "\/none"/,
  ],
])("a worker's configuration %s is refused with what is wrong", (text, message) => {
  const path = join(folder, "worker.json");
  writeFileSync(path, text);
  expect(() => loadWorkerConfig(path)).toThrow(message);
});
