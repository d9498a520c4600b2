/** A real etcd for comparing with: one member, empty, gone with the test. Null where etcd is not installed. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type RealEtcd = { readonly url: string; stop(): Promise<void> };

const START_MS = 10_000;

export function isEtcdInstalled(): boolean {
  return spawnSync("etcd", ["--version"]).status === 0;
}

/** Starts etcd on free ports of `address`, a loopback address. @throws when it does not become healthy in time. */
export async function startRealEtcd(address: string): Promise<RealEtcd> {
  const folder = mkdtempSync(join(tmpdir(), "haplan-etcd-"));
  const client = `http://${address}:${await freePort(address)}`;
  const peer = `http://${address}:${await freePort(address)}`;
  const options = {
    "data-dir": join(folder, "data"),
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `default=${peer}`,
  };
  const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const child = spawn("etcd", flags, { stdio: "ignore" });
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitUntilHealthy(client);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: client, stop };
}

async function waitUntilHealthy(url: string): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const healthy = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (healthy) return;
    if (Date.now() > deadline) throw new Error(`etcd at ${url} did not become healthy within ${START_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

function freePort(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, address, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === "object" && bound !== null ? bound.port : 0));
    });
  });
}
