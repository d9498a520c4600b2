/**
 * The same conversation with a real etcd and with our agent, both as processes: every reply must be equal but for ids
 * and times, and for what docs/etcd-differences.md lists.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClusterFacts, catchUp, closeFacts, learnFacts, type Step, speak } from "./conversation.ts";
import { DIFFERENCES, type DifferenceId } from "./differences.ts";
import { type ClusterProcesses, isEtcdInstalled, startCluster } from "./member-processes.ts";
import { CORNER_REQUESTS, type GatewayRequest, HTTP_REQUESTS, type HttpRequest, randomRequests } from "./requests.ts";
import { APISERVER_SCRIPT } from "./script-apiserver.ts";
import { AUTH_SCRIPT } from "./script-auth.ts";
import { KV_SCRIPT } from "./script-kv.ts";
import { LEASE_SCRIPT, WATCH_SCRIPT } from "./script-lease-watch.ts";
import { LOCK_SCRIPT } from "./script-lock-election.ts";
import { MEMBERS_SCRIPT, SEVERAL_MEMBERS_SCRIPT, SINGLE_MEMBER_SCRIPT } from "./script-members.ts";
import { call } from "./script-words.ts";

/** The gateway's paths as methods. */
const KV_METHODS: Readonly<Record<string, string>> = {
  "/v3/kv/put": "KV/Put",
  "/v3/kv/range": "KV/Range",
  "/v3/kv/deleterange": "KV/DeleteRange",
  "/v3/kv/txn": "KV/Txn",
  "/v3/kv/compaction": "KV/Compact",
};
const RANDOM_STEPS = randomRequests(7, 60).map(({ path, body }) => call(KV_METHODS[path]!, body));
const SCRIPT: readonly Step[] = [
  ...RANDOM_STEPS,
  ...KV_SCRIPT,
  ...LEASE_SCRIPT,
  ...WATCH_SCRIPT,
  ...MEMBERS_SCRIPT,
  ...LOCK_SCRIPT,
  ...APISERVER_SCRIPT,
  ...AUTH_SCRIPT,
];
/** A long run over other seeds: `HAPLAN_COMPATIBILITY_SEEDS=17,18 HAPLAN_COMPATIBILITY_COUNT=2000`. */
const RANDOM_SEEDS = (process.env["HAPLAN_COMPATIBILITY_SEEDS"] ?? "13").split(",").map(Number);
const RANDOM_COUNT = Number(process.env["HAPLAN_COMPATIBILITY_COUNT"] ?? 200);
const HOST = "127.77.24.1";

type Pair = { readonly ours: ClusterFacts; readonly theirs: ClusterFacts };

async function meet(ours: ClusterProcesses, theirs: ClusterProcesses): Promise<Pair> {
  const [ourFacts, theirFacts] = await Promise.all([learnFacts(ours.urls), learnFacts(theirs.urls)]);
  return { ours: ourFacts, theirs: theirFacts };
}

/** Members take turns; the one whose turn it is has heard all that the others were told. */
async function expectSameReplies(steps: readonly Step[], { ours, theirs }: Pair): Promise<void> {
  const count = ours.clients.length;
  let last = 0;
  for (const [at, step] of steps.entries()) {
    const member = (step.member ?? at) % count;
    if (step.divides && count > 1) continue;
    if (member !== last) await Promise.all([catchUp(ours, member), catchUp(theirs, member)]);
    last = member;
    const [own, real] = await Promise.all([speak(step, member, ours), speak(step, member, theirs)]);
    const what = `${at}. ${JSON.stringify(step, (_, value) => (typeof value === "function" ? "…" : value)).slice(0, 500)}`;
    if (step.differs === undefined) expect.soft(own, what).toEqual(real);
    else {
      const reconcile = DIFFERENCES[step.differs];
      expect.soft(own, `${what} does not differ`).not.toEqual(real);
      expect.soft(reconcile(own), what).toEqual(reconcile(real));
    }
  }
}

/** A request of the JSON gateway's, and what it answers. */
async function post(url: string, { path, body }: GatewayRequest): Promise<unknown> {
  const response = await fetch(url + path, { method: "POST", body: JSON.stringify(body) });
  // etcd 3.4's gateway says 412 where later ones say 400.
  const status = response.status === 412 ? 400 : response.status;
  const answer = withoutIds(JSON.parse(await response.text())) as Record<string, unknown>;
  if (path.endsWith("/alarm")) delete answer["header"];
  return { status, body: answer };
}

function withoutIds(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutIds);
  if (typeof value !== "object" || value === null) return value;
  // Later gateways add `details` beside the words; `message` and `error` are the same words twice.
  const dropped = new Set(["cluster_id", "member_id", "raft_term", "details", "message"]);
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, inner]) => [name, name === "TTL" && inner === "499" ? "500" : inner])
      .filter(([name]) => !dropped.has(String(name)))
      .map(([name, inner]) => [name, withoutIds(inner)]),
  );
}

/** What HTTP itself shows: status, type, who may ask, and the body. */
async function ask(url: string, { method, path, body, lines }: HttpRequest): Promise<unknown> {
  const response = await fetch(url + path, { method, ...(body === undefined ? {} : { body }) });
  const text = lines === undefined ? await response.text() : await readLines(response, lines);
  const isJson = response.headers.get("content-type") === "application/json";
  const pieces = text.split("\n").filter((line) => line !== "");
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    origin: response.headers.get("access-control-allow-origin"),
    methods: response.headers.get("access-control-allow-methods"),
    text: isJson ? pieces.map((line) => withoutIds(JSON.parse(line))) : text,
  };
}

async function readLines(response: Response, count: number): Promise<string> {
  let text = "";
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (text.split("\n").length <= count) text += (await reader.read()).value ?? "";
  await reader.cancel();
  return text;
}

describe.skipIf(!isEtcdInstalled())("the agent and a real etcd", () => {
  const clusters: ClusterProcesses[] = [];
  const start = async (engine: "agent" | "etcd", members: number): Promise<ClusterProcesses> => {
    // Passwords are hashed at the lowest cost: what is compared is not how long that takes.
    const cluster = await startCluster(engine, HOST, { members, flags: ["--bcrypt-cost=4"] });
    clusters.push(cluster);
    return cluster;
  };
  let single: readonly [ClusterProcesses, ClusterProcesses];
  let three: readonly [ClusterProcesses, ClusterProcesses];
  let gateway: readonly [ClusterProcesses, ClusterProcesses];
  beforeAll(async () => {
    const started = await Promise.all([
      start("agent", 1),
      start("etcd", 1),
      start("agent", 3),
      start("etcd", 3),
      start("agent", 1),
      start("etcd", 1),
    ]);
    single = [started[0]!, started[1]!];
    three = [started[2]!, started[3]!];
    gateway = [started[4]!, started[5]!];
  });
  afterAll(() => Promise.all(clusters.map((cluster) => cluster.stop())));

  async function compare(
    steps: readonly Step[],
    [ours, theirs]: readonly [ClusterProcesses, ClusterProcesses],
  ): Promise<void> {
    const pair = await meet(ours, theirs);
    try {
      await expectSameReplies(steps, pair);
    } finally {
      await Promise.all([closeFacts(pair.ours), closeFacts(pair.theirs)]);
    }
  }

  it("give the same replies to 400 requests as a single member", { timeout: 60_000 }, async () => {
    expect(SCRIPT.length).toBeGreaterThanOrEqual(400);
    await compare([...SCRIPT, ...SINGLE_MEMBER_SCRIPT], single);
  });

  it("give the same replies to 400 requests as three members", { timeout: 60_000 }, async () => {
    await compare([...SCRIPT, ...SEVERAL_MEMBERS_SCRIPT], three);
  });

  it("give the same replies through the JSON gateway, to every corner and in random conversations", async () => {
    const [ours, theirs] = gateway.map((cluster) => cluster.urls[0]!);
    const requests = [...CORNER_REQUESTS, ...RANDOM_SEEDS.flatMap((seed) => randomRequests(seed, RANDOM_COUNT))];
    for (const request of requests) {
      const [own, real] = await Promise.all([post(ours!, request), post(theirs!, request)]);
      expect.soft(own, `${request.path} ${JSON.stringify(request.body).slice(0, 400)}`).toEqual(real);
    }
  });

  it("speak HTTP alike: spellings of JSON, paths that are not there, streams", async () => {
    const [ours, theirs] = gateway.map((cluster) => cluster.urls[0]!);
    for (const request of HTTP_REQUESTS) {
      const [own, real] = await Promise.all([ask(ours!, request), ask(theirs!, request)]);
      expect.soft(own, JSON.stringify(request)).toEqual(real);
    }
  });

  it("differ only where the documentation says so", () => {
    const documented = readFileSync(new URL("../../docs/etcd-differences.md", import.meta.url), "utf8");
    const listed = [...documented.matchAll(/^\| `([a-z-]+)`/gm)].map(([, id]) => id);
    const used = new Set(
      [...SCRIPT, ...SINGLE_MEMBER_SCRIPT].flatMap((step): DifferenceId[] => (step.differs ? [step.differs] : [])),
    );
    expect([...used].sort()).toEqual(Object.keys(DIFFERENCES).sort());
    expect(listed).toEqual(expect.arrayContaining(Object.keys(DIFFERENCES)));
  });
});
