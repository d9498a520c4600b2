/**
 * Every planned change of the masters under a loop of writes (`etcdctl put`) and under etcd's Go client, over
 * connections that last and over a new one for each write: no write fails, the longest gap is at most a second, and
 * what haplan says of it agrees with what the clients saw.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findGoClient, type RunningScenario } from "../compatibility/go-client.ts";
import { SeenGaps } from "../compatibility/seen-gaps.ts";
import { addressOf, ClusterFixture, until } from "./cluster-fixture.ts";
import { isInstalled } from "./run-program.ts";
import { type LoopReport, WriteLoop } from "./write-loop.ts";

const goClient = await findGoClient();
const hasEtcdctl = isInstalled("etcdctl", "version");
const skipped = hasEtcdctl ? "" : " (skipped: etcdctl is not installed)";
const longestGapMaxMs = 1_000;
/** Clients that are not the same ones see gaps that differ by about a write's time each. */
const differenceMaxMs = 150;

type Balancer = "embedded" | "haproxy";
type Shape = {
  readonly masters: readonly (readonly [name: string, host: number])[];
  readonly controlPlane?: string;
};

const three: Shape["masters"] = [
  ["m1", 1],
  ["m2", 2],
  ["m3", 3],
];

function specOf(network: number, balancer: Balancer, { masters, controlPlane = "" }: Shape): string {
  const lines = masters.map(([name, host]) => `      - { name: ${name}, address: ${addressOf(network, host)} }\n`);
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata:
  name: e2e
spec:
  provider: { type: local }
  controlPlane:
    members: ${masters.length}
${controlPlane}    masters:
${lines.join("")}  workers: []
  loadBalancer: { type: ${balancer}, address: ${addressOf(network, 100)}, ports: [2379] }
`;
}

type Change = { readonly name: string; readonly shape: Shape; readonly flags?: readonly string[] };

/** In this order, on one cluster: each begins where the one before ended. */
const changes: readonly Change[] = [
  {
    name: "T11: a restart for new settings",
    shape: { masters: three, controlPlane: "    heartbeatIntervalMs: 110\n" },
  },
  { name: "T11: a replaced agent", shape: { masters: three }, flags: ["-replace=haplan_agent.m2"] },
  {
    name: "T11: two masters more",
    shape: { masters: [...three, ["m4", 4], ["m5", 5]] },
  },
  {
    name: "T11: two masters less, the first ones",
    shape: {
      masters: [
        ["m3", 3],
        ["m4", 4],
        ["m5", 5],
      ],
    },
  },
  {
    name: "T3: another client port",
    shape: {
      masters: three.map(([, host]) => [`m${host + 2}`, host + 2] as const),
      controlPlane: "    clientPort: 2479\n",
    },
  },
  {
    name: "T3: another address of every master",
    shape: {
      masters: [
        ["m3", 13],
        ["m4", 14],
        ["m5", 15],
      ],
      controlPlane: "    clientPort: 2479\n",
    },
  },
  {
    name: "T12: another peer port",
    shape: {
      masters: [
        ["m3", 13],
        ["m4", 14],
        ["m5", 15],
      ],
      controlPlane: "    clientPort: 2479\n    peerPort: 2480\n",
    },
  },
];

type Availability = {
  readonly measured: boolean;
  readonly failed: number;
  readonly longest_gap_ms: number;
  readonly unavailable_ms: number;
};

/** What haplan said of the writes while it applied. */
function availabilityOf(output: string): Availability {
  const lines = output.split("\n").filter((line) => line.startsWith("{"));
  const events = lines.map((line) => JSON.parse(line) as { readonly type: string });
  return events.find(({ type }) => type === "write_availability") as unknown as Availability;
}

describe.skipIf(!hasEtcdctl).each([
  ["embedded", 41],
  ["haproxy", 42],
] as const)(`planned changes behind the load balancer of type %s${skipped}`, (balancer, network) => {
  const isMissing = balancer === "haproxy" && !isInstalled("haproxy", "-v");
  let cluster: ClusterFixture;
  let loop: WriteLoop;
  /** The same loop again: how far two of them differ is how closely any gap can be measured. */
  let twin: WriteLoop;
  let steady: RunningScenario | undefined;
  let steadyResult: Promise<unknown> | undefined;
  const gaps = new SeenGaps();

  beforeAll(async () => {
    if (isMissing) return;
    cluster = new ClusterFixture(specOf(network, balancer, { masters: three }));
    await cluster.apply();
    loop = new WriteLoop(cluster);
    twin = new WriteLoop(cluster, "twin");
    await until("the loops write", () => Math.min(loop.written, twin.written) > 5);
    if ("missing" in goClient) return;
    const pki = (file: string): string => join(cluster.directory, ".haplan", cluster.name, "pki", file);
    steadyResult = goClient.run("steadyWrites", {
      endpoints: [await cluster.output("endpoint")],
      tls: { caFile: pki("ca.crt"), certFile: pki("admin.crt"), keyFile: pki("admin.key") },
      parameters: { writers: 4, kept: 3, fresh: 1 },
      onEvent: (event, scenario) => {
        steady = scenario;
        gaps.add(event);
      },
    });
  }, 60_000);

  afterAll(async () => {
    await Promise.all([loop?.stop(), twin?.stop()]);
    steady?.finish();
    await steadyResult?.catch(() => undefined);
    await cluster?.teardown();
  }, 60_000);

  it.skipIf(isMissing).each(changes)(
    "$name",
    async ({ shape, flags = [] }) => {
      cluster.writeSpec(specOf(network, balancer, shape));
      const [fromMs, wallFromMs] = [performance.now(), Date.now()];
      const run = await cluster.start(["apply", "-auto-approve", "-json", ...flags], { timeoutMs: 170_000 }).end;
      const untilMs = performance.now();
      expect(run.code, run.stdout + run.stderr).toBe(0);
      const seen: LoopReport = loop.report(fromMs, untilMs);
      const said = availabilityOf(run.stdout);
      const longest = gaps.longest(wallFromMs, wallFromMs + untilMs - fromMs);
      console.log(`The second loop saw ${twin.report(fromMs, untilMs).longestGapMs} ms`);
      console.log(balancer, JSON.stringify(seen), JSON.stringify(longest), JSON.stringify(said));
      expect(seen.failures).toEqual([]);
      expect(seen.written).toBeGreaterThan(10);
      expect(seen.longestGapMs).toBeLessThanOrEqual(longestGapMaxMs);
      expect(said).toMatchObject({ measured: true, failed: 0, unavailable_ms: 0 });
      if (longest === null) return;
      const seenMs = longest.untilMs - longest.fromMs;
      expect(seenMs).toBeLessThanOrEqual(longestGapMaxMs);
      expect(Math.abs(seenMs - said.longest_gap_ms)).toBeLessThanOrEqual(Math.max(0.2 * seenMs, differenceMaxMs));
    },
    180_000,
  );

  it.skipIf(isMissing || "missing" in goClient)(
    "T11: clients whose connections last have lost no write, no watch event and no lease",
    async () => {
      steady?.finish();
      const result = await steadyResult;
      console.log(balancer, JSON.stringify(result));
      expect(result).toMatchObject({ failures: null, leaseHeld: true });
    },
    60_000,
  );
});
