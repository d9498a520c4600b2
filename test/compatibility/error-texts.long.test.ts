/**
 * Every error that clients recognize by its text, provoked on running members and read from the wire. Errors that
 * cannot be provoked from outside are listed with the reason.
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonValue } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import { type EtcdErrorName, EtcdErrors } from "../../src/raft-agent/state-machine/etcd-error.ts";
import { type BodyFrom, type CallStep, type ClusterFacts, closeFacts, learnFacts, speak } from "./conversation.ts";
import { type ClusterProcesses, freePorts, startCluster } from "./member-processes.ts";
import { b64, call, put, range, stream, txn } from "./script-words.ts";

const host = "127.77.24.3";
const quick = ["--heartbeat-interval=50", "--election-timeout=500"];

const notFromOutside: Partial<Record<EtcdErrorName, string>> = {
  memberIdExists: "ids are hashes over the peer URLs and the time, and equal peer URLs are rejected before",
  clusterIdMismatch: "etcd sends it to peers of another cluster; ours reject them in the handshake of the peer port",
  notCapable: "etcd returns it while a cluster of mixed versions is upgraded; ours has one API version",
  clusterVersionUnavailable: "the version is agreed on by the first entry of a new cluster, before it serves",
  timeoutWaitingAppliedIndex:
    "a member would have to stop applying for seconds and answer meanwhile; see request-timeouts.test.ts",
  timeoutConnectionLost:
    "a proposal would have to be lost on a broken connection while its leader stays; see request-timeouts.test.ts",
  watchCanceled: "the client's own cancel, which has no reader",
};

type Case = readonly [name: EtcdErrorName, step: CallStep, ...before: readonly CallStep[]];

const compare129 = Array.from({ length: 129 }, () => ({ key: b64("a"), target: "VERSION", version: "0" }));
const opPut = (key: string): object => ({ request_put: { key: b64(key) } });
const add = (port: number, isLearner: boolean): CallStep =>
  call("Cluster/MemberAdd", { peerURLs: [`http://${host}:${port}`], isLearner });
const tokenOf = (name: string) => (facts: ClusterFacts) => ({
  token: (facts.kept.get(name) as { token: string }).token,
});
const learner: BodyFrom = (facts) => ({ ID: (facts.kept.get("learner") as { member: { ID: string } }).member.ID });
const self: BodyFrom = (facts) => ({ ID: facts.leaderId });
const asRoot = { metadata: tokenOf("root") };
const login = (name: string): CallStep => call("Auth/Authenticate", { name, password: "pw" }, { keep: name });

const data: readonly Case[] = [
  ["emptyKey", put("")],
  ["keyNotFound", put("none", "", { ignore_value: true })],
  ["valueProvided", put("a", "v", { ignore_value: true })],
  ["leaseProvided", put("a", "v", { ignore_lease: true, lease: "1" })],
  ["tooManyOps", txn({ compare: compare129 })],
  ["duplicateKey", txn({ success: [opPut("a"), opPut("a")] })],
  ["invalidClientApiVersion", range("a", {}, { metadata: { "client-api-version": "new" } })],
  ["invalidSortOption", range("a", { sort_target: 9 })],
  ["requestTooLarge", put("a", "x".repeat(1_572_864))],
  ["futureRevision", range("a", { revision: "99" })],
  ["compacted", range("a", { revision: "1" }), put("a"), put("a"), call("KV/Compact", { revision: "3" })],
  ["leaseTtlTooLarge", call("Lease/LeaseGrant", { TTL: "9000000001" })],
  ["leaseNotFound", call("Lease/LeaseRevoke", { ID: "404" })],
  ["leaseExists", call("Lease/LeaseGrant", { TTL: "60", ID: "7" }), call("Lease/LeaseGrant", { TTL: "60", ID: "7" })],
  ["noSpace", put("a"), call("Maintenance/Alarm", { action: "ACTIVATE", memberID: "5", alarm: "NOSPACE" })],
  [
    "corrupt",
    put("a"),
    call("Maintenance/Alarm", { action: "DEACTIVATE", memberID: "5", alarm: "NOSPACE" }),
    call("Maintenance/Alarm", { action: "ACTIVATE", memberID: "5", alarm: "CORRUPT" }),
  ],
];

const memberCases: readonly Case[] = [
  ["memberNotFound", call("Cluster/MemberRemove", { ID: "404" })],
  ["badMemberUrls", call("Cluster/MemberAdd", { peerURLs: ["nonsense"] })],
  ["peerUrlExists", call("Cluster/MemberAdd", (facts) => ({ peerURLs: [facts.peerUrls[0]] }))],
  ["memberNotLearner", call("Cluster/MemberPromote", self)],
  ["badLeaderTransferee", call("Maintenance/MoveLeader", { targetID: "404" }, { member: 0 })],
  ["wrongDowngradeVersionFormat", call("Maintenance/Downgrade", { version: "old" })],
  ["invalidDowngradeTarget", call("Maintenance/Downgrade", { version: "3.2.0" })],
  ["noInflightDowngrade", call("Maintenance/Downgrade", { action: "CANCEL" })],
  [
    "downgradeInProgress",
    call("Maintenance/Downgrade", { version: "3.5.0" }),
    call("Maintenance/Downgrade", { action: "ENABLE", version: "3.5.0" }),
  ],
  ["learnerNotReady", call("Cluster/MemberPromote", learner), { ...add(1, true), keep: "learner" }],
  ["tooManyLearners", add(2, true)],
  ["notEnoughStarted", add(4, false), call("Cluster/MemberRemove", learner), add(3, false)],
];

const auth: readonly Case[] = [
  ["authNotEnabled", login("root")],
  ["rootUserNotExist", call("Auth/AuthEnable")],
  ["rootRoleNotExist", call("Auth/AuthEnable"), call("Auth/UserAdd", { name: "root", password: "pw" })],
  ["userEmpty", call("Auth/UserAdd", {})],
  ["userAlreadyExists", call("Auth/UserAdd", { name: "root", password: "pw" })],
  ["userNotFound", call("Auth/UserGet", { name: "nobody" })],
  ["roleEmpty", call("Auth/RoleAdd", {})],
  ["roleAlreadyExists", call("Auth/RoleAdd", { name: "r" }), call("Auth/RoleAdd", { name: "r" })],
  ["roleNotFound", call("Auth/RoleGet", { role: "none" })],
  ["roleNotGranted", call("Auth/UserRevokeRole", { name: "root", role: "r" })],
  ["permissionNotGranted", call("Auth/RoleRevokePermission", { role: "r", key: b64("a") })],
  ["permissionNotGiven", call("Auth/RoleGrantPermission", { name: "r" })],
  [
    "authFailed",
    call("Auth/Authenticate", { name: "root", password: "wrong" }),
    call("Auth/UserAdd", { name: "alice", password: "pw" }),
    call("Auth/RoleAdd", { name: "root" }),
    call("Auth/UserGrantRole", { user: "root", role: "root" }),
    call("Auth/AuthEnable"),
  ],
  ["invalidAuthToken", range("a", {}, { metadata: { token: "nonsense" } })],
  ["permissionDenied", range("a", {}, { metadata: tokenOf("alice") }), login("alice"), login("root")],
  ["invalidAuthManagement", call("Auth/UserDelete", { name: "root" }, asRoot)],
  ["authOldRevision", range("a", {}, asRoot), call("Auth/RoleAdd", { name: "late" }, asRoot)],
];

describe("error texts", () => {
  const produced = new Set<EtcdErrorName>();
  const clusters: ClusterProcesses[] = [];
  const opened: ClusterFacts[] = [];
  const directory = mkdtempSync(join(tmpdir(), "haplan-token-"));
  let three: ClusterProcesses;
  let facts: ClusterFacts;

  const start = async (members: number, flags: readonly string[]): Promise<ClusterProcesses> => {
    const cluster = await startCluster("agent", host, { members, flags: [...quick, ...flags] });
    clusters.push(cluster);
    return cluster;
  };
  const learn = async (urls: readonly string[]): Promise<ClusterFacts> => {
    const met = await learnFacts(urls);
    opened.push(met);
    return met;
  };
  const expectError = (name: EtcdErrorName, reply: JsonValue): void => {
    const { code, text } = EtcdErrors[name];
    expect(reply, name).toEqual({ code, text });
    produced.add(name);
  };
  const produce = async (cases: readonly Case[], member: ClusterFacts): Promise<void> => {
    for (const [name, step, ...before] of cases) {
      for (const preparation of before) expect(await speak(preparation, 0, member), name).not.toHaveProperty("code");
      expectError(name, await speak(step, 0, member));
    }
  };

  beforeAll(async () => {
    three = await start(3, []);
    facts = await learn(three.urls);
  });
  afterAll(async () => {
    await Promise.all(opened.map(closeFacts));
    await Promise.all(clusters.map((cluster) => cluster.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  it("of members that have only just met", async () => {
    expectError("unhealthy", await speak(add(9, false), 0, facts));
    expectError(
      "notLeader",
      await speak(
        call("Maintenance/MoveLeader", (to) => ({ targetID: to.leaderId })),
        1,
        facts,
      ),
    );
  });

  it.concurrent("of keys, leases and alarms", async () => {
    await produce(data, await learn((await start(1, [])).urls));
  });

  it.concurrent("of members", async () => {
    await produce(memberCases, await learn((await start(1, [])).urls));
  });

  it.concurrent("of a member without the others", { timeout: 60_000 }, async () => {
    const two = await start(2, []);
    const pair = await learn(two.urls);
    await two.kill(two.urls.indexOf(pair.endpoints[1]!));
    const waiting = speak(put("alone"), 0, pair);
    const bound = range("a", {}, { metadata: { hasleader: "true" } });
    let reply = await speak(bound, 0, pair);
    // Until the leader has noticed, reads succeed, or fail because they arrived in between.
    const isNoLeader = (answer: JsonValue): boolean =>
      isRefusal(answer) && (answer as { text: string }).text === EtcdErrors.noLeader.text;
    for (let tries = 0; tries < 1_000 && !isNoLeader(reply); tries++) reply = await speak(bound, 0, pair);
    expectError("noLeader", reply);
    expectError("timeout", await waiting);
  });

  it.concurrent("of a learner", async () => {
    const one = await start(1, []);
    const [port] = await freePorts(host, 1);
    const lone = await learn(one.urls);
    await speak(add(port!, true), 0, lone);
    const url = await one.join("learner", `http://${host}:${port}`);
    const joined = { ...lone, clients: [connect({ endpoints: [url] })], endpoints: [url] };
    opened.push(joined);
    let reply = await speak(put("a"), 0, joined);
    while ((reply as { code?: number }).code === StatusCode.unavailable) reply = await speak(put("a"), 0, joined);
    expectError("notSupportedForLearner", reply);
  });

  it.concurrent("of users, roles and tokens", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const files = { private: join(directory, "key.pem"), public: join(directory, "pub.pem") };
    writeFileSync(files.private, privateKey.export({ type: "pkcs8", format: "pem" }));
    writeFileSync(files.public, publicKey.export({ type: "spki", format: "pem" }));
    const tokens = `--auth-token=jwt,pub-key=${files.public},priv-key=${files.private},sign-method=RS256`;
    await produce(auth, await learn((await start(1, [tokens, "--bcrypt-cost=4"])).urls));
  });

  it.concurrent("of a member that stops and of an overloaded one", async () => {
    const one = await start(1, []);
    const lone = await learn(one.urls);
    for (const key of ["1", "2", "3", "4"]) await speak(put(key, "x".repeat(1_500_000)), 0, lone);
    const snapshot = stream("Maintenance/Snapshot", [{ send: {} }, { read: 1 }]);
    const snapshots = await Promise.all(Array.from({ length: 8 }, () => speak(snapshot, 0, lone)));
    const refused = snapshots.map((reply) => (reply as JsonValue[]).at(-1)!).filter(isRefusal);
    expectError("tooManyRequests", refused[0]!);
    const watching = speak(
      stream("Watch/Watch", [{ send: { create_request: { key: b64("a") } } }, { read: 1 }, { read: 1 }]),
      0,
      lone,
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    await one.terminate(0);
    expectError("stopped", ((await watching) as JsonValue[]).at(-1)!);
  });

  it.concurrent("of a leader that hangs or fails", { timeout: 60_000 }, async () => {
    // A follower is paused: it cannot take over.
    const target = three.urls.indexOf(facts.endpoints[2]!);
    three.pause(target);
    const moved = speak(
      call("Maintenance/MoveLeader", (to) => ({ targetID: idOfPart(to, 2) })),
      0,
      facts,
    );
    expectError("timeoutLeaderTransfer", await moved);
    three.resume(target);
    // The leader is paused: the proposals sent to it are lost when another member takes over. On a busy machine the
    // leader may have changed by now.
    const now = await learn(three.urls);
    const [leader] = now.endpoints.map((endpoint) => three.urls.indexOf(endpoint));
    three.pause(leader!);
    const lost = speak(put("lost"), 1, now);
    expectError("timeoutLeaderFailure", await lost);
    three.resume(leader!);
    // A leader that hears of no follower gives up, and the reads that it has not confirmed with it.
    const next = (await learn(three.urls)).endpoints.map((endpoint) => three.urls.indexOf(endpoint));
    for (const follower of next.slice(1)) three.pause(follower);
    const read = await speak(range("a"), 0, await learn([three.urls[next[0]!]!]));
    for (const follower of next.slice(1)) three.resume(follower);
    expectError("leaderChanged", read);
  });

  it("are all produced, except for those that cannot be provoked from outside", () => {
    const missing = (Object.keys(EtcdErrors) as EtcdErrorName[]).filter((name) => !produced.has(name));
    expect(missing.sort()).toEqual(Object.keys(notFromOutside).sort());
  });
});

function isRefusal(reply: JsonValue): boolean {
  return typeof reply === "object" && reply !== null && "code" in reply;
}

function idOfPart(facts: ClusterFacts, part: number): string {
  const id = facts.names.find(([, name]) => name === `<id of follower ${part}>`);
  if (id === undefined) throw new Error(`no follower ${part}`);
  return id[0];
}
