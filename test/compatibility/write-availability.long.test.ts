/**
 * What haplan reports as the longest gap in writes, beside etcd's Go client that writes at the same time: through a
 * load balancer, over connections that last and over a new one for each write.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectingClient, keptClient, WriteProbe } from "../../src/apply/write-probe.ts";
import { systemClock } from "../../src/base/clock.ts";
import { connectControlPlane } from "../../src/control-plane/connect-control-plane.ts";
import { LoadBalancer } from "../../src/load-balancer/load-balancer.ts";
import { findGoClient, type RunningScenario } from "./go-client.ts";
import { type ClusterProcesses, leadingMember, startCluster } from "./member-processes.ts";
import { SeenGaps } from "./seen-gaps.ts";

const host = "127.77.62.5";
const goClient = await findGoClient();
const whyNoGo = "missing" in goClient ? ` (skipped: ${goClient.missing})` : "";

async function startBalancer({ urls }: ClusterProcesses): Promise<LoadBalancer> {
  const backends = urls.map((url, at) => ({ name: `m${at + 1}`, address: host, port: Number(new URL(url).port) }));
  const healthCheck = { path: "/readyz?stopping=404", intervalMs: 500, timeoutMs: 2_000 };
  const config = { listens: [`${host}:0`], backends, healthCheck, tls: null };
  return await LoadBalancer.start({ config, tls: null }, () => undefined);
}

/** As apply has it. */
function startProbe(endpoint: string): WriteProbe {
  const connect = (): ReturnType<typeof connectControlPlane> =>
    connectControlPlane({ endpoints: [endpoint], tls: null });
  const kept = Array.from({ length: 3 }, () => keptClient(connect()));
  const probe = new WriteProbe([...kept, connectingClient(connect)], systemClock);
  probe.setPace("dense");
  return probe;
}

describe.skipIf("missing" in goClient)(`the longest gap in writes${whyNoGo}`, () => {
  const gaps = new SeenGaps();
  let cluster: ClusterProcesses;
  let balancer: LoadBalancer;
  let endpoint: string;
  let writing: RunningScenario | undefined;
  let written: Promise<unknown>;

  beforeAll(async () => {
    if ("missing" in goClient) return;
    cluster = await startCluster("agent", host, { members: 3 });
    balancer = await startBalancer(cluster);
    endpoint = `http://${host}:${balancer.addresses()[0]!.port}`;
    const parameters = { writers: 0, kept: 3, fresh: 1 };
    await new Promise<void>((resolve) => {
      written = goClient.run("steadyWrites", {
        endpoints: [endpoint],
        parameters,
        onEvent: (event, scenario) => {
          gaps.add(event);
          writing = scenario;
          if (event === "writing") resolve();
        },
      });
    });
  }, 60_000);

  afterAll(async () => {
    writing?.finish();
    expect(await written).toMatchObject({ failures: null, leaseHeld: true });
    await balancer?.[Symbol.asyncDispose]();
    await cluster?.stop();
  }, 60_000);

  /** What haplan and the Go client measured as the longest gap while `act` ran. */
  async function seenDuring(act: () => Promise<void>): Promise<{ readonly measured: number; readonly seen: number }> {
    const fromMs = Date.now();
    const probe = startProbe(endpoint);
    await sleep(500);
    await act();
    await sleep(500);
    const availability = await probe.stop();
    const untilMs = Date.now();
    expect(availability).toMatchObject({ failed: 0, unavailableMs: 0 });
    // A gap that has begun is reported when it ends.
    await sleep(100);
    const seen = gaps.longest(fromMs, untilMs);
    console.log(JSON.stringify(availability), JSON.stringify(seen));
    return { measured: availability!.longestGapMs, seen: gaps.longestMs(fromMs, untilMs) };
  }

  it.each([300, 500, 800])(
    "T10: is what the Go client measures, within a fifth, when the leader is paused for %d ms",
    async (pauseMs) => {
      const { measured, seen } = await seenDuring(async () => {
        const leader = await leadingMember(cluster);
        cluster.pause(leader);
        await sleep(pauseMs);
        cluster.resume(leader);
      });
      expect(measured).toBeGreaterThan(0.8 * pauseMs);
      expect(Math.abs(measured - seen)).toBeLessThanOrEqual(0.2 * seen);
    },
    30_000,
  );

  it("T11: is below a second for both when the leader is stopped as planned, and started again", async () => {
    const { measured, seen } = await seenDuring(async () => {
      const leader = await leadingMember(cluster);
      await cluster.terminate(leader);
      await cluster.restart(leader);
    });
    // Clients that are connected to different members see different gaps: here the two need not agree.
    expect(Math.max(measured, seen)).toBeLessThanOrEqual(1_000);
  }, 30_000);
});
