import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execaSync } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import { openAuthority } from "../pki/authority.ts";
import { certificatePath, keyPath } from "../pki/certificate-directory.ts";
import type { TlsMaterial } from "../pki/tls-material.ts";
import type { ObservedMembership } from "../plan/observed-cluster.ts";
import { connectControlPlane } from "./connect-control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

/** Against real etcd processes with mutual TLS: the agent promises the same API. */
const hasEtcd = execaSync("etcd", ["--version"], { reject: false }).exitCode === 0;

let directory: string;
let tls: TlsMaterial;
const processes = new Map<string, ChildProcess>();
const addressOf: Record<string, string> = {
  m1: "127.77.18.61",
  m2: "127.77.18.62",
  m3: "127.77.18.63",
  m4: "127.77.18.64",
};
const clientUrl = (name: string): string => `https://${addressOf[name]}:23791`;
const peerUrl = (name: string): string => `https://${addressOf[name]}:23801`;

function startEtcd(name: string, initial: readonly string[], state: "new" | "existing"): void {
  const pki = join(directory, "pki");
  const identity = (prefix: string): string[] => [
    `--${prefix}cert-file=${certificatePath(pki, "member")}`,
    `--${prefix}key-file=${keyPath(pki, "member")}`,
    `--${prefix}trusted-ca-file=${certificatePath(pki, "ca")}`,
    `--${prefix}client-cert-auth=true`,
  ];
  const started = spawn(
    "etcd",
    [
      `--name=${name}`,
      `--data-dir=${join(directory, name)}`,
      `--listen-client-urls=${clientUrl(name)}`,
      `--advertise-client-urls=${clientUrl(name)}`,
      `--listen-peer-urls=${peerUrl(name)}`,
      `--initial-advertise-peer-urls=${peerUrl(name)}`,
      `--initial-cluster=${initial.map((member) => `${member}=${peerUrl(member)}`).join(",")}`,
      `--initial-cluster-state=${state}`,
      "--heartbeat-interval=50",
      "--election-timeout=500",
      // Members must otherwise have been up for five seconds before etcd lets one be added.
      "--strict-reconfig-check=false",
      ...identity(""),
      ...identity("peer-"),
    ],
    { stdio: "ignore" },
  );
  processes.set(name, started);
}

async function stopEtcd(name: string): Promise<void> {
  const running = processes.get(name);
  if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
  const ended = once(running, "exit");
  running.kill("SIGKILL");
  await ended;
}

function connectTo(...names: string[]): ControlPlane {
  return connectControlPlane({ endpoints: names.map(clientUrl), tls });
}

async function observedAs(
  controlPlane: ControlPlane,
  wanted: (membership: ObservedMembership) => boolean,
): Promise<ObservedMembership> {
  let last: ObservedMembership | null = null;
  for (let i = 0; i < 60; i++) {
    last = await controlPlane.observe();
    if (last !== null && wanted(last)) return last;
    await systemClock.sleep(100);
  }
  throw new Error(`never observed as wanted: ${JSON.stringify(last)}`);
}

const allHealthy = (membership: ObservedMembership): boolean =>
  membership.hasLeader && membership.members.every((member) => member.healthy);
const votersOf = (membership: ObservedMembership): string[] =>
  membership.members.filter((member) => !member.learner).map((member) => member.id);
const idOf = (membership: ObservedMembership, name: string): string =>
  membership.members.find((member) => member.name === name)!.id;

beforeAll(async () => {
  if (!hasEtcd) return;
  directory = mkdtempSync(join(tmpdir(), "haplan-control-plane-"));
  const authority = openAuthority({ directory: join(directory, "pki") });
  await authority.createAuthority("demo authority");
  // etcd compares a peer's certificate with the address it connects from, which is 127.0.0.1 for all of 127.0.0.0/8.
  const subjectAltNames = [...Object.values(addressOf), "127.0.0.1"];
  await authority.issue({ name: "member", profile: "member", commonName: "member", subjectAltNames });
  await authority.issue({ name: "admin", profile: "client", commonName: "admin", subjectAltNames: [] });
  tls = await authority.material("admin");
  for (const name of ["m1", "m2", "m3"]) startEtcd(name, ["m1", "m2", "m3"], "new");
});
afterAll(async () => {
  await Promise.all([...processes.keys()].map(stopEtcd));
  if (hasEtcd) rmSync(directory, { recursive: true, force: true });
});

describe.skipIf(!hasEtcd).sequential("the door to the control plane", () => {
  it("sees all members, their roles and figures, through any one of them", async () => {
    const controlPlane = connectTo("m2");
    const membership = await observedAs(controlPlane, (seen) => seen.members.length === 3 && allHealthy(seen));
    expect(membership.members.map((member) => member.name).sort()).toEqual(["m1", "m2", "m3"]);
    expect(membership.members.filter((member) => member.leader)).toHaveLength(1);
    expect(membership.clusterId).toMatch(/^[0-9a-f]{16}$/);
    expect(membership.votersOutgoing).toEqual([]);
    for (const member of membership.members) {
      expect(member).toMatchObject({
        id: expect.stringMatching(/^[0-9a-f]{16}$/),
        peerUrls: [peerUrl(member.name)],
        clientUrls: [clientUrl(member.name)],
        learner: false,
        raftIndex: expect.any(Number),
        raftTerm: expect.any(Number),
        dbSizeBytes: expect.any(Number),
      });
    }
    controlPlane.close();
  });

  it("T12: tells the members of a peer URL once, and again without an error", async () => {
    const controlPlane = connectTo("m1", "m2", "m3");
    const before = await observedAs(controlPlane, allHealthy);
    const m2 = before.members.find(({ name }) => name === "m2")!;
    const elsewhere = peerUrl("m2").replace(/\d+$/, "23899");
    for (const url of [elsewhere, elsewhere, peerUrl("m2")]) {
      await controlPlane.updateMember({ memberId: m2.id, peerUrl: url });
      await observedAs(controlPlane, ({ members }) =>
        members.some(({ id, peerUrls }) => id === m2.id && peerUrls.join() === url),
      );
    }
    const unknown = controlPlane.updateMember({ memberId: "00000000000000aa", peerUrl: elsewhere });
    await expect(unknown).rejects.toThrow(/Cannot give member 00000000000000aa the peer URL .*member not found/);
    await observedAs(controlPlane, allHealthy);
    controlPlane.close();
  });

  it("moves the leader where it is told", async () => {
    const controlPlane = connectTo("m1", "m2", "m3");
    const before = await observedAs(controlPlane, allHealthy);
    const follower = before.members.find((member) => !member.leader)!;
    await controlPlane.moveLeader(follower.id);
    await controlPlane.moveLeader(follower.id);
    const after = await observedAs(controlPlane, allHealthy);
    expect(after.members.find((member) => member.leader)?.id).toBe(follower.id);
    controlPlane.close();
  });

  it("adds a learner once, and sees it catch up", async () => {
    const controlPlane = connectTo("m1", "m2", "m3", "m4");
    for (let i = 0; i < 20; i++) await controlPlane.put(`/test/${i}`, "value", 2000);
    await observedAs(controlPlane, allHealthy);
    const added = await controlPlane.addLearner({ name: "m4", peerUrl: peerUrl("m4") });
    expect(await controlPlane.addLearner({ name: "m4", peerUrl: peerUrl("m4") })).toEqual(added);
    expect(await controlPlane.learnerLag(added.memberId)).toBeNull();
    startEtcd("m4", ["m1", "m2", "m3", "m4"], "existing");
    let lag: number | null = null;
    for (let i = 0; i < 100 && lag !== 0; i++) {
      await systemClock.sleep(50);
      lag = await controlPlane.learnerLag(added.memberId);
    }
    expect(lag).toBe(0);
    controlPlane.close();
  });

  it("F9: writes through a voter where the member that comes first is a learner", async () => {
    const controlPlane = connectTo("m4", "m1");
    await controlPlane.put("/test/learner", "value", 2000);
    controlPlane.close();
  });

  it("gives a learner a vote for another's, and forgets members", async () => {
    const controlPlane = connectTo("m1", "m2", "m3", "m4");
    const before = await observedAs(controlPlane, allHealthy);
    const added = { memberId: before.members.find(({ learner }) => learner)!.id };
    const from = votersOf(before);
    const leaving = idOf(before, "m1");
    const to = [...from.filter((id) => id !== leaving), added.memberId];
    await expect(controlPlane.changeVoters({ from: [leaving], to: [leaving] })).rejects.toMatchObject({
      code: "control-plane/voters-moved",
    });
    await controlPlane.changeVoters({ from, to });
    await controlPlane.changeVoters({ from, to });
    await controlPlane.removeMember(leaving);
    await stopEtcd("m1");
    const after = await observedAs(controlPlane, allHealthy);
    expect(votersOf(after).sort()).toEqual([...to].sort());
    controlPlane.close();
  });

  it("tells the dead from the living, and a cluster without quorum from none", async () => {
    const controlPlane = connectTo("m2", "m3", "m4");
    await observedAs(controlPlane, allHealthy);
    await stopEtcd("m2");
    const oneDown = await observedAs(
      controlPlane,
      (seen) => seen.hasLeader && seen.members.filter((m) => m.healthy).length === 2,
    );
    expect(oneDown.members.find((member) => member.name === "m2")).toMatchObject({
      healthy: false,
      leader: false,
      raftIndex: null,
    });
    await controlPlane.put("/test/after", "one is down", 5000);
    processes.get("m3")!.kill("SIGSTOP");
    const noQuorum = await observedAs(controlPlane, (seen) => !seen.hasLeader);
    expect(noQuorum.members.map((member) => member.healthy)).toEqual([false, false, false]);
    await expect(controlPlane.put("/test/none", "no quorum", 1000)).rejects.toMatchObject({ code: expect.any(Number) });
    await stopEtcd("m3");
    await stopEtcd("m4");
    expect(await controlPlane.observe()).toBeNull();
    controlPlane.close();
  });
});
