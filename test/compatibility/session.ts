/**
 * Runs a session against both clusters at the same time: after each step the replies and the messages of open watch
 * streams must be equal, and at the end all data of the two. Keeps track of what a step may request, and leaves out
 * steps on which the two are known to differ.
 */
import { isDeepStrictEqual } from "node:util";
import type { JsonValue } from "@bufbuild/protobuf";
import type { Metadata } from "../../src/etcd-client/client-stream.ts";
import { type Body, type CallStep, type ClusterFacts, type StreamStep, speak } from "./conversation.ts";
import { type Pair, Turns } from "./pair.ts";
import type { Caller, Session, SessionStep } from "./random-session.ts";
import { b64, call, stream } from "./script-words.ts";
import {
  comparableReply,
  endsChecks,
  isHashOfCompacted,
  isOnlyForLeader,
  isOnlyForRoot,
  type SessionEtcd,
} from "./session-differences.ts";
import { WatchStream } from "./watch-stream.ts";

const passwords = ["p", "q"];
const receivedMs = 2_500;
/** An etcd syncs watchers that begin in the past every 100 ms. */
const catchUpMs = 250;

/** Streams stay at the member where they began. */
type OpenStreams = { readonly member: number; readonly both: readonly [ours: WatchStream, theirs: WatchStream] };

type Talk = {
  readonly pair: Pair;
  readonly etcd: SessionEtcd;
  readonly turns: Turns;
  readonly streams: Map<number, OpenStreams>;
  /** The last revision in a response. */
  now: number;
  readonly compacted: Set<string>;
  authOn: boolean;
  pastWatches: boolean;
  requests: number;
};

export type Outcome = {
  /** How many were compared. */
  readonly requests: number;
  /** What was not equal, after this many steps; the stores at the end count as one more. */
  readonly difference: { readonly steps: number; readonly error: unknown } | null;
};

export async function holdSession(session: Session, pair: Pair, etcd: SessionEtcd): Promise<Outcome> {
  const talk: Talk = {
    pair,
    etcd,
    turns: new Turns(pair),
    streams: new Map(),
    now: 1,
    compacted: new Set(),
    authOn: false,
    pastWatches: false,
    requests: 0,
  };
  let steps = 0;
  try {
    for (const step of session) {
      steps++;
      await takeStep(talk, step, `${steps}. ${JSON.stringify(step)}`);
    }
    if (talk.streams.size > 0) await pause(catchUpMs);
    await compareReceived(talk, "the end of the session");
    await compareStores(talk);
  } catch (error) {
    return { requests: talk.requests, difference: { steps, error } };
  } finally {
    for (const stream of talk.streams.keys()) closeStream(talk, stream);
  }
  return { requests: talk.requests, difference: null };
}

async function takeStep(talk: Talk, step: SessionStep, what: string): Promise<void> {
  if (step.kind === "closeStream") closeStream(talk, step.stream);
  else if (step.kind === "watch") await watch(talk, step);
  else if (step.kind === "keepAlive") await keepAlive(talk, step.ids, step.member, what);
  else if (await mayAsk(talk, step)) await ask(talk, { ...call(step.method, step.body), ...step, what });
  await compareReceived(talk, what);
}

type Asked = CallStep & { readonly as: Caller; readonly what: string };

async function ask(talk: Talk, { as, what, ...step }: Asked): Promise<JsonValue> {
  const body = (facts: ClusterFacts): Body => resolve(step.body, talk, facts) as Body;
  if (step.method === "KV/Compact") {
    if (talk.pastWatches) await pause(catchUpMs);
    talk.compacted.add(String(body(talk.pair.ours)["revision"] ?? "0"));
  }
  // A login sends no token: an etcd 3.4 rejects it with an invalid one (`login-with-token`).
  const login = { keep: `token of ${(step.body as { name?: string }).name}`, metadata: {} };
  const asked = step.method === "Auth/Authenticate" ? login : { metadata: tokenOf(talk, as) };
  const reply = await compare(talk, { ...step, ...asked, kind: "call", body }, what);
  const isRefused = (reply as { code?: number }).code !== undefined;
  if (step.method === "Auth/AuthEnable" && !isRefused) talk.authOn = true;
  if (step.method === "Auth/AuthDisable" && !isRefused) {
    talk.authOn = false;
    // Their tokens are no longer valid (`token-without-auth`).
    for (const which of talk.streams.keys()) closeStream(talk, which);
  }
  return reply;
}

async function compare(talk: Talk, step: CallStep | StreamStep, what: string): Promise<JsonValue> {
  const { ours, theirs } = talk.pair;
  const member = await talk.turns.take(step.member ?? 0);
  const [own, real] = await Promise.all([speak(step, member, ours), speak(step, member, theirs)]);
  talk.requests++;
  const compared = { member, etcd: talk.etcd };
  if (step.method === "Maintenance/HashKV" && isHashOfCompacted([own, real], talk.compacted, talk.etcd)) return own;
  expectSame(comparableReply(step, own, compared), comparableReply(step, real, compared), what);
  const header = (own as { header?: { revision?: string } }).header;
  if (header?.revision !== undefined) talk.now = Number(header.revision);
  return own;
}

/** While authentication is off, an etcd 3.4 rejects a token that it does not know (`token-without-auth`). */
function tokenOf(talk: Talk, as: Caller): (facts: ClusterFacts) => Metadata {
  if (!talk.authOn || as === "anonymous") return () => ({});
  return ({ kept }) => ({ token: (kept.get(`token of ${as}`) as { token?: string } | undefined)?.token ?? "none" });
}

async function mayAsk(talk: Talk, step: SessionStep & { kind: "call" }): Promise<boolean> {
  const { authOn, etcd } = talk;
  if (!authOn) return true;
  if (endsChecks(step)) return false;
  if (isOnlyForLeader(step, etcd)) return (step.member ?? 0) % talk.pair.ours.clients.length === 0;
  if (!isOnlyForRoot(step, etcd)) return true;
  return step.as === "root" && (await logIn(talk));
}

/** Whether root has a valid token. */
async function logIn(talk: Talk): Promise<boolean> {
  for (const password of passwords) {
    const step = call("Auth/Authenticate", { name: "root", password });
    const reply = await ask(talk, { ...step, as: "anonymous", what: "root logs in" });
    if ((reply as { code?: number }).code === undefined) return hasRootRole(talk);
  }
  return false;
}

async function hasRootRole(talk: Talk): Promise<boolean> {
  const reply = await ask(talk, { ...call("Auth/UserGet", { name: "root" }), as: "root", what: "root's roles" });
  return ((reply as { roles?: string[] }).roles ?? []).includes("root");
}

async function keepAlive(talk: Talk, ids: readonly string[], member: number | undefined, what: string): Promise<void> {
  if (talk.authOn && !(await logIn(talk))) return;
  const actions = ids.flatMap((ID) => [{ send: { ID } }, { read: 1 }] as const);
  const step = stream("Lease/LeaseKeepAlive", [...actions, { finish: true }], { metadata: tokenOf(talk, "root") });
  await compare(talk, { ...step, ...(member === undefined ? {} : { member }) }, what);
}

async function watch(talk: Talk, step: SessionStep & { kind: "watch" }): Promise<void> {
  const { ours, theirs } = talk.pair;
  const created = (step.request as { create_request?: { range_end?: string } }).create_request;
  // With an etcd 3.4, a user that may read the first key may watch all keys after it (`auth-holes-closed`).
  if (talk.authOn && talk.etcd === "3.4" && created?.range_end === everything.range_end) return;
  const opened = talk.streams.get(step.stream);
  const member = await talk.turns.take(opened?.member ?? step.member ?? 0);
  const metadata = tokenOf(talk, step.as);
  const both =
    opened?.both ??
    ([
      await WatchStream.open(ours, member, metadata(ours)),
      await WatchStream.open(theirs, member, metadata(theirs)),
    ] as const);
  talk.streams.set(step.stream, { member, both });
  const request = resolve(step.request, talk, ours) as Body;
  await Promise.all(both.map((one) => one.send(request)));
  talk.requests++;
  if (created === undefined) return;
  talk.pastWatches = true;
  await Promise.all(both.map((one) => within(receivedMs, () => Object.keys(one.received).length > 0)));
}

function closeStream(talk: Talk, which: number): void {
  for (const one of talk.streams.get(which)?.both ?? []) one.cancel();
  talk.streams.delete(which);
}

/** Waits until both sides have received the same messages. */
async function compareReceived(talk: Talk, what: string): Promise<void> {
  for (const [which, { both }] of talk.streams) {
    const [ours, theirs] = both;
    await within(receivedMs, () => isDeepStrictEqual(ours.received, theirs.received));
    expectSame(ours.received, theirs.received, `what watch stream ${which} received after ${what}`);
    // An etcd still considers the id of a watch that compaction has cancelled in use (`compacted-watch-forgotten`).
    if (JSON.stringify(ours.received).includes('"compact_revision"')) closeStream(talk, which);
    ours.forgetTold();
    theirs.forgetTold();
  }
}

function expectSame(own: unknown, real: unknown, what: string): void {
  if (isDeepStrictEqual(own, real)) return;
  throw new Error(`${what}\nhaplan-agent: ${JSON.stringify(own)}\netcd: ${JSON.stringify(real)}`);
}

const everything = { key: b64("\0"), range_end: b64("\0") };

/** All that both hold: data of every revision and its hash, leases, users, roles, members. */
async function compareStores(talk: Talk): Promise<void> {
  if (talk.authOn && (await logIn(talk))) await ask(talk, { ...call("Auth/AuthDisable"), as: "root", what: "the end" });
  if (talk.authOn) return;
  const names = ["root", "alice", "bob"];
  const roles = ["root", "some", "other"];
  const ends: CallStep[] = [
    ...["5", "6"].flatMap((memberID) =>
      ["NOSPACE", "CORRUPT"].map((alarm) => call("Maintenance/Alarm", { action: "DEACTIVATE", memberID, alarm })),
    ),
    call("Maintenance/Alarm"),
    call("Lease/LeaseLeases"),
    ...["11", "12", "13", "-7"].map((ID) => call("Lease/LeaseTimeToLive", { ID, keys: true })),
    call("Auth/UserList"),
    call("Auth/RoleList"),
    ...names.map((name) => call("Auth/UserGet", { name })),
    ...roles.filter((role) => role !== "root").map((role) => call("Auth/RoleGet", { role })),
    call("Cluster/MemberList", { linearizable: true }),
    call("KV/Range", everything),
  ];
  for (const step of ends) await ask(talk, { ...step, as: "root", what: `at the end, ${step.method}` });
  for (let revision = 1; revision <= talk.now; revision++) {
    const at = { revision: String(revision) };
    const what = `at the end, revision ${revision} of ${talk.now}`;
    await ask(talk, { ...call("KV/Range", { ...everything, ...at }), member: revision, as: "root", what });
    await ask(talk, { ...call("Maintenance/HashKV", at), member: revision, as: "root", what: `${what}, its hash` });
  }
}

/** Fills values that are known only now into a body, and leaves out undefined fields. */
function resolve(value: unknown, talk: Talk, facts: ClusterFacts): unknown {
  if (Array.isArray(value)) return value.map((one) => resolve(one, talk, facts));
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
    return Object.fromEntries(fields.map(([name, inner]) => [name, resolve(inner, talk, facts)]));
  }
  // An etcd derives the member's id from address and second.
  if (value === "20 kB") return b64("x".repeat(20_000));
  if (value === "a new url") return `http://127.77.44.250:${1_000 + talk.requests}`;
  if (value === "id of added") return (facts.kept.get("added") as { member?: { ID: string } })?.member?.ID ?? "404";
  const by = typeof value === "string" ? /^now([+-]\d+)$/.exec(value)?.[1] : undefined;
  return by === undefined ? value : String(Math.max(0, talk.now + Number(by)));
}

async function within(ms: number, isSo: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + ms;
  while (!isSo() && Date.now() < deadlineMs) await pause(2);
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
