/**
 * The same conversation with a real etcd and with our agent, both as processes: every reply must be equal except for
 * ids and times, and for what docs/etcd-differences.md lists.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Step, speak } from "./conversation.ts";
import { type DifferenceId, differences } from "./differences.ts";
import { kvHttpRequest, randomHttpRequests } from "./gateway-requests.ts";
import { comparableExchange, exchange, type HttpRequest, post } from "./http-exchange.ts";
import { type ClusterProcesses, isEtcdInstalled, startCluster } from "./member-processes.ts";
import { closePair, openPair, type Pair, Turns } from "./pair.ts";
import { randomKvCalls } from "./random-kv.ts";
import { cornerRequests, httpRequests } from "./requests.ts";
import { apiserverScript } from "./script-apiserver.ts";
import { authScript } from "./script-auth.ts";
import { kvScript } from "./script-kv.ts";
import { leaseScript, watchScript } from "./script-lease-watch.ts";
import { lockScript } from "./script-lock-election.ts";
import { membersScript, severalMembersScript, singleMemberScript } from "./script-members.ts";

/** With HAPLAN_TEST_EVERYTHING the conversation is also run with three members. */
const everything = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;
const script: readonly Step[] = [
  ...kvScript,
  ...leaseScript,
  ...watchScript,
  ...membersScript,
  ...lockScript,
  ...apiserverScript,
  ...authScript,
];
/** A long run over other seeds: `HAPLAN_COMPATIBILITY_SEEDS=17,18 HAPLAN_COMPATIBILITY_COUNT=2000`. */
const randomSeeds = (process.env["HAPLAN_COMPATIBILITY_SEEDS"] ?? "13").split(",").map(Number);
const randomCount = Number(process.env["HAPLAN_COMPATIBILITY_COUNT"] ?? 200);
/** The same for HTTP requests, with the same seeds: `HAPLAN_GATEWAY_REQUESTS=2000`. */
const httpCount = Number(process.env["HAPLAN_GATEWAY_REQUESTS"] ?? 40);
const httpMs = 20_000 + 100 * randomSeeds.length * httpCount;
const host = "127.77.24.1";

async function expectSameReplies(steps: readonly Step[], pair: Pair): Promise<void> {
  const { ours, theirs } = pair;
  const turns = new Turns(pair);
  for (const [at, step] of steps.entries()) {
    if (step.divides && ours.clients.length > 1) continue;
    const member = await turns.take(step.member ?? at);
    const [own, real] = await Promise.all([speak(step, member, ours), speak(step, member, theirs)]);
    const what = `${at}. ${JSON.stringify(step, (_, value) => (typeof value === "function" ? "…" : value)).slice(0, 500)}`;
    if (step.differs === undefined) expect.soft(own, what).toEqual(real);
    else {
      const reconcile = differences[step.differs];
      expect.soft(own, `${what} does not differ`).not.toEqual(real);
      expect.soft(reconcile(own), what).toEqual(reconcile(real));
    }
  }
}

describe.skipIf(!isEtcdInstalled())("the agent and a real etcd", () => {
  const clusters: ClusterProcesses[] = [];
  const start = async (engine: "agent" | "etcd", members: number): Promise<ClusterProcesses> => {
    // Passwords are hashed at the lowest cost: what is compared is not how long that takes.
    const cluster = await startCluster(engine, host, { members, flags: ["--bcrypt-cost=4"] });
    clusters.push(cluster);
    return cluster;
  };
  const startBoth = (members: number): Promise<readonly [ClusterProcesses, ClusterProcesses]> =>
    Promise.all([start("agent", members), start("etcd", members)]);
  let gateway: readonly [ClusterProcesses, ClusterProcesses];
  beforeAll(async () => {
    gateway = await startBoth(1);
  });
  afterAll(() => Promise.all(clusters.map((cluster) => cluster.stop())));

  async function compare(
    steps: readonly Step[],
    [ours, theirs]: readonly [ClusterProcesses, ClusterProcesses],
  ): Promise<void> {
    const pair = await openPair(ours, theirs);
    try {
      await expectSameReplies(steps, pair);
    } finally {
      await closePair(pair);
    }
  }

  it("give the same replies to 400 requests as a single member", { timeout: 60_000 }, async () => {
    expect(script.length).toBeGreaterThanOrEqual(400);
    // Of its own: a second attempt would find what the first one has left.
    await compare([...script, ...singleMemberScript], await startBoth(1));
  });

  const long = everything ? it : undefined;
  long?.("give the same replies to 400 requests as three members", { timeout: 60_000 }, async () => {
    await compare([...script, ...severalMembersScript], await startBoth(3));
  });

  async function expectSameAnswers(requests: readonly HttpRequest[]): Promise<void> {
    const [ours, theirs] = gateway.map((cluster) => cluster.urls[0]!);
    for (const request of requests) {
      const [own, real] = await Promise.all([exchange(ours!, request), exchange(theirs!, request)]);
      const what = JSON.stringify(request).slice(0, 500);
      expect.soft(comparableExchange(request, own), what).toEqual(comparableExchange(request, real));
    }
  }

  it("give the same replies through the JSON gateway, to every corner case and in random conversations", async () => {
    const random = randomSeeds.flatMap((seed) => randomKvCalls(seed, randomCount));
    const corners = cornerRequests.map(({ path, body }) => post(path, JSON.stringify(body)));
    await expectSameAnswers([...corners, ...random.map(kvHttpRequest)]);
  });

  it("give equal HTTP responses: spellings of JSON, unknown paths, streams", async () => {
    await expectSameAnswers(httpRequests);
  });

  it("give equal responses to random HTTP requests, well-formed and not", { timeout: httpMs }, async () => {
    await expectSameAnswers(randomSeeds.flatMap((seed) => randomHttpRequests(seed, httpCount)));
  });

  it("differ only where the documentation says so", () => {
    const documented = readFileSync(new URL("../../docs/etcd-differences.md", import.meta.url), "utf8");
    const listed = [...documented.matchAll(/^\| `([a-z-]+)`/gm)].map(([, id]) => id);
    const used = new Set(
      [...script, ...singleMemberScript].flatMap((step): DifferenceId[] => (step.differs ? [step.differs] : [])),
    );
    expect([...used].sort()).toEqual(Object.keys(differences).sort());
    expect(listed).toEqual(expect.arrayContaining(Object.keys(differences)));
  });
});
