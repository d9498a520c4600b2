/**
 * Failover: the leader is killed with SIGKILL repeatedly, and the time until the next write is acknowledged is
 * measured, with writes sent to all members in turn. A real etcd, where one is installed, is treated the same way:
 * three members on loopback, no TLS, heartbeats every 100 ms, elections after 1000 ms.
 *
 *   npm run build:tools && node build/bench/failover.js [--rounds 20] [--json]
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { EtcdClient } from "../src/etcd-client/etcd-client.ts";
import { connect } from "../src/etcd-client/grpc-client.ts";
import { type ProcessImage, readProcessImage, restartProcess } from "../test/crash/process-image.ts";
import { addressOf, ClusterFixture, kill, killAndWait, until } from "../test/e2e/cluster-fixture.ts";
import { isInstalled } from "../test/e2e/run-program.ts";

const network = 28;

type Member = { readonly url: string; readonly image: ProcessImage; pid: number };
type Result = {
  readonly engine: string;
  readonly rounds: number;
  readonly medianMs: number;
  readonly p90Ms: number;
  readonly maxMs: number;
};

async function measure(engine: string, members: readonly Member[], rounds: number): Promise<Result> {
  const clients = members.map(({ url }) => new EtcdClient(connect({ endpoints: [url] }), { timeoutMs: 1_000 }));
  const times: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const leader = members[await settledLeader(clients)]!;
      // Not in phase with heartbeats.
      await sleep(500 + Math.random() * 500);
      const killedAt = performance.now();
      kill(leader.pid, "SIGKILL");
      times.push((await firstWrite(clients)) - killedAt);
      await killAndWait(leader.pid);
      leader.pid = restartProcess(leader.image);
    }
  } finally {
    await Promise.all(clients.map((client) => client.grpc.close()));
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.min(rounds - 1, Math.floor(rounds * share))]!);
  return { engine, rounds, medianMs: at(0.5), p90Ms: at(0.9), maxMs: at(1) };
}

/** Waits until all members have the same leader and the same log; returns the leader's position. */
function settledLeader(clients: readonly EtcdClient[]): Promise<number> {
  return until(
    "all members follow one leader",
    async () => {
      const statuses = await Promise.all(clients.map((client) => client.within(500).maintenance.status()));
      const { leader, raftIndex } = statuses[0]!;
      if (leader === null || statuses.some((each) => each.leader !== leader || each.raftIndex !== raftIndex))
        return false;
      return statuses.findIndex(({ memberId }) => memberId === leader);
    },
    30_000,
  );
}

/** Sends a put every 10 ms, to one member after the other, until one is acknowledged; returns when that was. */
async function firstWrite(clients: readonly EtcdClient[]): Promise<number> {
  let answeredAt: number | undefined;
  for (let sent = 0; answeredAt === undefined; sent++) {
    if (sent > 3_000) throw new Error("No write was acknowledged within 30 s");
    const put = clients[sent % clients.length]!.put("failover", String(sent));
    put.then(
      () => (answeredAt ??= performance.now()),
      () => undefined,
    );
    await sleep(10);
  }
  return answeredAt;
}

async function measureHaplan(rounds: number): Promise<Result> {
  const cluster = new ClusterFixture({ network, tls: false });
  try {
    await cluster.apply();
    const { members } = await cluster.status();
    const processes = members.map(({ clientUrl, pid }) => ({
      url: clientUrl,
      image: readProcessImage(pid!),
      pid: pid!,
    }));
    return await measure("haplan", processes, rounds);
  } finally {
    await cluster.teardown();
  }
}

async function measureEtcd(rounds: number): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), "haplan-failover-"));
  const members: Member[] = [];
  try {
    for (const host of [21, 22, 23]) {
      const [client, peer] = [2379, 2380].map((port) => `http://${addressOf(network, host)}:${port}`);
      const cluster = [21, 22, 23].map((each) => `e${each}=http://${addressOf(network, each)}:2380`).join(",");
      const flags = {
        name: `e${host}`,
        "data-dir": join(directory, `e${host}`),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": cluster,
      };
      const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
      const { pid } = spawn("etcd", args, { stdio: "ignore", detached: true });
      if (pid === undefined || client === undefined) throw new Error("Cannot start etcd");
      await until("etcd has its data directory", () => existsSync(join(directory, `e${host}`)));
      members.push({ url: client, image: readProcessImage(pid), pid });
    }
    return await measure("etcd", members, rounds);
  } finally {
    for (const { pid } of members) await killAndWait(pid);
    rmSync(directory, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { rounds: { type: "string", default: "20" }, json: { type: "boolean" } } });
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds} is not a count: write 20`);
const results = [await measureHaplan(rounds)];
if (isInstalled("etcd", "--version")) results.push(await measureEtcd(rounds));
if (values.json) console.log(JSON.stringify(results, null, 2));
else {
  for (const { engine, medianMs, p90Ms, maxMs } of results)
    console.log(`${engine.padEnd(8)} ${rounds} kills: median ${medianMs} ms, p90 ${p90Ms} ms, max ${maxMs} ms`);
  if (results.length === 1) console.log("etcd is not installed: nothing to compare with");
}
