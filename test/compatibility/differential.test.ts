/**
 * The same conversation with a real etcd and with ours: every answer must be equal, but for who answers. Ours is a
 * member's whole service path over the real store, with a consensus that commits at once.
 */
import { spawnSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createHttpHandler } from "../../src/raft-agent/gateway/http-handler.ts";
import { memberValues } from "../../src/raft-agent/metrics/member-values.ts";
import { createMetrics } from "../../src/raft-agent/metrics/metrics.ts";
import { createWorld, SELF } from "../../src/raft-agent/services/single-member-world.ts";
import { isEtcdInstalled, type RealEtcd, startRealEtcd } from "./real-etcd.ts";
import { CORNER_REQUESTS, type GatewayRequest, randomRequests } from "./requests.ts";

const RANDOM_SEEDS = [1, 13, 16];
const RANDOM_COUNT = 400;

type Ours = { readonly url: string; readonly server: Server; hashKv(): Promise<{ readonly hash: number }> };

async function startOurs(): Promise<Ours> {
  const { services } = await createWorld();
  const values = (): ReturnType<typeof memberValues> => memberValues(services);
  const metrics = createMetrics({ version: "3.6.1", memberId: SELF, values, grpcMethods: () => [] });
  const handler = createHttpHandler({ services, metrics, gateway: true, corsOrigins: ["*"], hostWhitelist: ["*"] });
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.77.15.3", resolve));
  const url = `http://127.77.15.3:${(server.address() as AddressInfo).port}`;
  return { url, server, hashKv: () => services.machine.store.hashKv(0) };
}

/** The hash of every stored revision, as the real one computes it. */
function hashKvOf(url: string): number {
  const env = { ...process.env, ETCDCTL_API: "3" };
  const { stdout } = spawnSync("etcdctl", ["--endpoints", url, "endpoint", "hashkv", "-w", "json"], { env });
  const [answer] = JSON.parse(String(stdout)) as { HashKV: { hash: number } }[];
  return answer!.HashKV.hash;
}

async function ask(url: string, { path, body }: GatewayRequest): Promise<unknown> {
  const response = await fetch(url + path, { method: "POST", body: JSON.stringify(body) });
  // etcd 3.4's gateway says 412 where later ones say 400.
  const status = response.status === 412 ? 400 : response.status;
  const answer = comparable(JSON.parse(await response.text())) as Record<string, unknown>;
  // Nor has its alarm answer the header of later ones.
  if (path.endsWith("/alarm")) delete answer["header"];
  return { status, body: answer };
}

/** Drops who answers, and what newer versions add. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  const dropped = new Set(["cluster_id", "member_id", "raft_term", "details", "hash_revision", "message"]);
  return Object.fromEntries(
    Object.entries(value)
      // Time passes for the real one.
      .map(([name, inner]) => [name, name === "TTL" && inner === "499" ? "500" : inner])
      .filter(([name]) => !dropped.has(String(name)))
      .map(([name, inner]) => [name, comparable(inner)]),
  );
}

describe.skipIf(!isEtcdInstalled())("the agent's services and a real etcd", () => {
  let etcd: RealEtcd;
  beforeAll(async () => {
    etcd = await startRealEtcd("127.77.15.4");
  });
  afterAll(() => etcd?.stop());

  async function expectSameAnswers(requests: readonly GatewayRequest[], etcdUrl: string): Promise<void> {
    const ours = await startOurs();
    try {
      for (const request of requests) {
        const [theirs, own] = await Promise.all([ask(etcdUrl, request), ask(ours.url, request)]);
        expect(own, `${request.path} ${JSON.stringify(request.body).slice(0, 400)}`).toEqual(theirs);
      }
      expect((await ours.hashKv()).hash).toBe(hashKvOf(etcdUrl));
    } finally {
      ours.server.closeAllConnections();
      ours.server.close();
    }
  }

  it("give the same answers to every corner of the API", () => expectSameAnswers(CORNER_REQUESTS, etcd.url));

  for (const seed of RANDOM_SEEDS) {
    it(`give the same answers to the random conversation ${seed}`, async () => {
      const fresh = await startRealEtcd("127.77.15.4");
      try {
        await expectSameAnswers(randomRequests(seed, RANDOM_COUNT), fresh.url);
      } finally {
        await fresh.stop();
      }
    });
  }
});
