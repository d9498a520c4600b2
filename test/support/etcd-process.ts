/** One real etcd for tests. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const etcdInstalled: boolean = spawnSync("etcd", ["--version"]).status === 0;

export type EtcdFixture = { readonly url: string; stop(): Promise<void> };

/**
 * `address` is an unused loopback address. The data directory starts empty and is removed afterwards, unless `keptDir`
 * is given. @throws when it does not become healthy within 10 s
 */
export async function startEtcd(address: string, keptDir?: string): Promise<EtcdFixture> {
  const directory = keptDir ?? mkdtempSync(join(tmpdir(), "haplan-etcd-"));
  const [url, peer] = [`http://${address}:2379`, `http://${address}:2380`];
  const flags = [
    `--data-dir=${join(directory, "data")}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // A single member only waits for itself.
    "--heartbeat-interval=20",
    "--election-timeout=200",
  ];
  const child = spawn("etcd", flags, { stdio: "ignore" });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.kill("SIGKILL")) await once(child, "exit");
    if (keptDir === undefined) rmSync(directory, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < 200; attempt++) {
    const healthy = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (healthy) return { url, stop };
    await sleep(50);
  }
  await stop();
  throw new Error(`etcd at ${url} did not become healthy within 10 s`);
}
