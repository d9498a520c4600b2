/** Runs etcd on a data directory as the only member of its cluster, until it has applied its whole log. */
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { HaplanError } from "../base/haplan-error.ts";

const readyMs = 600_000;
const stopMs = 60_000;
const probeEveryMs = 100;
const outputLinesMax = 8;
/** Sockets in the directory in which it runs: no other user reaches it. etcd wants a port in their names. */
const sockets = { client: "client:1", peer: "peer:1" };
const nowhere = "http://127.0.0.1:1";
/** Nothing is written but what it has: a full quota is no reason to stop. */
const quotaBytes = 100 * 2 ** 30;

/**
 * `directory` belongs to this user alone, and has the data in `data`. etcd has ended when this returns. @throws HaplanError
 * `data/etcd-failed` with the end of what etcd wrote
 */
export async function runAlone(etcd: string, directory: string): Promise<void> {
  const running = execa(etcd, argumentsFor(), {
    cwd: directory,
    all: true,
    reject: false,
    stdin: "ignore",
    forceKillAfterDelay: stopMs,
  });
  let ended = false;
  const end = running.finally(() => {
    ended = true;
  });
  const deadlineMs = performance.now() + readyMs;
  let healthy = false;
  while (!ended && !healthy && performance.now() < deadlineMs) {
    await Promise.race([end, sleep(probeEveryMs)]);
    healthy = !ended && (await isHealthy(join(directory, sockets.client)));
  }
  running.kill("SIGTERM");
  const { all, shortMessage } = await end;
  if (healthy) return;
  const said = (all || shortMessage || "").trimEnd().split("\n").slice(-outputLinesMax).join("\n");
  throw new HaplanError("data/etcd-failed", `${etcd} cannot use the data\n${said}`);
}

function argumentsFor(): readonly string[] {
  return [
    "--name=survivor",
    "--data-dir=data",
    "--force-new-cluster",
    `--listen-client-urls=unix://${sockets.client}`,
    `--listen-peer-urls=unix://${sockets.peer}`,
    `--advertise-client-urls=${nowhere}`,
    `--initial-advertise-peer-urls=${nowhere}`,
    `--initial-cluster=survivor=${nowhere}`,
    `--quota-backend-bytes=${quotaBytes}`,
  ];
}

/** It answers once a read has waited for all that is committed. */
function isHealthy(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: "/health", timeout: 5_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.once("timeout", () => call.destroy());
    call.once("error", () => resolve(false));
    call.end();
  });
}
