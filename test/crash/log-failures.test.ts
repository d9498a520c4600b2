/**
 * A member whose log cannot be written: the disk is full, or the reader of the pipe has stopped. It serves and stops
 * like any other. The long tests run all of it, where the disk fills up under a serving member (as root).
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { agentMain, freePorts } from "../compatibility/member-processes.ts";
import { openFullPipe } from "./full-pipe.ts";

const host = "127.77.46.19";
const pageBytes = 4096;
const withLongTests = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;
const mayMount = process.getuid?.() === 0;
let directory = "";
let child: ChildProcess | null = null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-log-failures-"));
});

afterEach(async () => {
  if (child !== null && child.exitCode === null && child.signalCode === null) {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
  spawnSync("umount", [join(directory, "logs")]);
  rmSync(directory, { recursive: true, force: true });
});

async function startMember(stderr: number | "ignore", ...logOutputs: string[]): Promise<string> {
  const [client, peer] = (await freePorts(host, 2)).map((port) => `http://${host}:${port}`);
  const settings = {
    name: "s",
    "data-dir": join(directory, "data"),
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `s=${peer}`,
    "log-outputs": logOutputs.join(),
    "log-level": "debug",
  };
  const flags = Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`);
  child = spawn(process.execPath, [agentMain, ...flags], { stdio: ["ignore", "ignore", stderr] });
  await expect
    .poll(() => fetch(`${client}/health`).then(({ ok }) => ok, String), { timeout: 15_000, interval: 50 })
    .toBe(true);
  return client!;
}

async function put(url: string, key: string): Promise<number> {
  const body = JSON.stringify({ key: btoa(key), value: btoa("v") });
  const signal = AbortSignal.timeout(5_000);
  return (await fetch(`${url}/v3/kv/put`, { method: "POST", body, signal })).status;
}

async function droppedLines(url: string): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text();
  return Number(/^haplan_log_lines_dropped_total (\d+)$/m.exec(page)?.[1]);
}

async function stop(): Promise<unknown> {
  const startedAt = performance.now();
  const exited = once(child!, "exit");
  child!.kill("SIGTERM");
  const [code, signal] = await exited;
  expect(performance.now() - startedAt).toBeLessThan(8_000);
  return code ?? signal;
}

it("R18, R19: a member serves and stops, with one log on a full disk and another in a pipe whose reader has stopped", async () => {
  const url = await startMember(openFullPipe(join(directory, "pipe")), "/dev/full", "stderr");
  expect(await put(url, "a")).toBe(200);
  expect(await droppedLines(url)).toBeGreaterThan(0);
  expect(await stop()).toBe(0);
});

it("R18, R19: a load balancer serves connections and stops, with its log in a pipe whose reader has stopped", async () => {
  const [port] = await freePorts(host, 1);
  const config = join(directory, "load-balancer.json");
  const healthCheck = { path: "/readyz", intervalMs: 100, timeoutMs: 200 };
  const backends = [{ name: "m1", address: host, port: 1 }];
  writeFileSync(config, JSON.stringify({ listens: [`${host}:${port}`], backends, healthCheck, tls: null }));
  const main = fileURLToPath(new URL("../../dist/cmd/haplan-load-balancer/main.js", import.meta.url));
  child = spawn(process.execPath, [main, "--config", config], {
    stdio: ["ignore", openFullPipe(join(directory, "pipe")), "ignore"],
  });
  const isListening = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port!, host, () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
  await expect.poll(isListening, { timeout: 15_000 }).toBe(true);
  expect(await stop()).toBe(0);
});

if (withLongTests) {
  it.skipIf(!mayMount)(
    "R19: the disk of the log fills up under a serving member, and is freed again",
    { timeout: 60_000 },
    async () => {
      const logs = join(directory, "logs");
      mkdirSync(logs);
      expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", logs]).status).toBe(0);
      const log = join(logs, "agent.log");
      const url = await startMember("ignore", log);
      // The last page of the log is full as well, so that not one more line fits.
      const toPageEnd = pageBytes - (statSync(log).size % pageBytes);
      appendFileSync(log, `${"x".repeat(toPageEnd - 1)}\n`);
      const fill = join(logs, "fill");
      expect(() => appendFileSync(fill, Buffer.alloc(100_000))).toThrow("ENOSPC");

      // Each membership change makes it log.
      const addMember = (): Promise<unknown> =>
        fetch(`${url}/v3/cluster/member/add`, {
          method: "POST",
          body: JSON.stringify({ peerURLs: [`http://${host}:1`], isLearner: true }),
        });
      await addMember();
      expect(await put(url, "a")).toBe(200);
      await expect.poll(() => droppedLines(url), { timeout: 20_000 }).toBeGreaterThan(0);
      expect(await put(url, "b")).toBe(200);
      rmSync(fill);
      expect(await stop()).toBe(0);
      // With the next line that could be written.
      expect(readFileSync(log, "utf8")).toMatch(/"dropped":[1-9]\d*,.*"msg":"log lines were dropped"}\n$/);
    },
  );
}
