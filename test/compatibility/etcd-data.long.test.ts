/**
 * The data of a stopped etcd, read and saved by `haplan-agent data`: what it says of it is what that etcd said of itself, and the
 * snapshot has every entry of its log, also those that it did not know to be committed.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { exportEtcdMember } from "../../src/etcd-data/export-etcd-member.ts";
import { readEtcdMember } from "../../src/etcd-data/read-etcd-member.ts";
import { readEtcdWal } from "../../src/etcd-data/read-wal.ts";
import { inspectSnapshot } from "../../src/raft-agent/etcd-snapshot/inspect-snapshot.ts";
import { openSnapshotFile } from "../../src/raft-agent/etcd-snapshot/snapshot-file.ts";
import { etcdVersions, findEtcdProgram } from "./etcd-programs.ts";
import type { Built } from "./go-build.ts";
import { type ClusterProcesses, isEtcdInstalled, startCluster } from "./member-processes.ts";

const host = "127.77.64.2";
const digestOf = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");
const installed: Built = isEtcdInstalled() ? { path: "etcd" } : { missing: "etcd is not installed" };
const built = etcdVersions.map(async (version) => [version, await findEtcdProgram(version, "etcd")] as const);
const programs: readonly (readonly [string, Built])[] = [["installed", installed], ...(await Promise.all(built))];

describe.each(programs)("the data of an etcd, %s,", (_, found) => {
  const etcd = "path" in found ? found.path : "";
  let directory: string;
  let cluster: ClusterProcesses;
  /** Of the leader. */
  let place: { readonly dataDir: string; readonly walDir: string };
  let said: { memberId: string; clusterId: string; revision: number; raftIndex: number; raftTerm: number };
  let uncommitted: number;

  beforeAll(async () => {
    if (etcd === "") return;
    directory = mkdtempSync(join(tmpdir(), "haplan-etcd-data-"));
    cluster = await startCluster("etcd", host, { members: 3, etcdProgram: etcd, flags: ["--snapshot-count=200"] });
    const clients = cluster.urls.map((url) => new EtcdClient(connect({ endpoints: [url] }), { timeoutMs: 2_000 }));
    const statuses = await Promise.all(clients.map((client) => client.maintenance.status()));
    const leader = statuses.findIndex(({ memberId, leader: id }) => memberId === id);
    const client = clients[leader]!;
    // More entries than one snapshot of etcd covers.
    for (let at = 0; at < 500; at += 1) await client.put(`/data/${at}`, "x".repeat(50));
    const { memberId, revision, raftIndex, raftTerm } = await client.maintenance.status();
    const { clusterId } = await client.cluster.memberList();
    said = { memberId, revision, raftIndex, raftTerm, clusterId };
    // An entry that the leader has and nobody else, as when the others are cut off.
    for (const other of [0, 1, 2].filter((at) => at !== leader)) cluster.pause(other);
    await client.put("/uncommitted", "1").catch(() => undefined);
    uncommitted = 1;
    await sleep(200);
    await cluster.kill(leader);
    const dataDir = cluster.dataDir(leader);
    place = { dataDir, walDir: `${dataDir}/member/wal` };
    for (const { grpc } of clients) void grpc.close().catch(() => undefined);
  }, 60_000);
  afterAll(async () => {
    await cluster?.stop();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  const copied = (name: string): typeof place => {
    const dataDir = join(directory, name);
    cpSync(place.dataDir, dataDir, { recursive: true });
    return { dataDir, walDir: `${dataDir}/member/wal` };
  };
  const lastFile = ({ walDir }: typeof place): string =>
    join(
      walDir,
      readdirSync(walDir)
        .filter((name) => name.endsWith(".wal"))
        .sort()
        .at(-1)!,
    );

  it.skipIf(etcd === "")("is described as that etcd described itself", async () => {
    const member = (await readEtcdMember(place))!;
    expect(member).toMatchObject({
      memberId: said.memberId,
      clusterId: said.clusterId,
      running: false,
      revision: expect.any(Number),
      damage: null,
      torn: [],
      learners: [],
    });
    expect(member.lastTerm).toBe(said.raftTerm);
    expect(member.lastIndex).toBe(said.raftIndex + uncommitted);
    expect(member.commitIndex).toBeLessThanOrEqual(said.raftIndex);
    expect(member.voters).toHaveLength(3);
    expect(member.voters).toContain(said.memberId);
  });

  it.skipIf(etcd === "")(
    "is saved with the entry that was not committed, and stays as it is",
    async () => {
      const files = (): readonly string[] =>
        readdirSync(place.walDir).map((name) => `${name} ${digestOf(join(place.walDir, name))}`);
      const before = files();
      const file = join(directory, "saved.db");
      const { revision, lastIndex } = await exportEtcdMember(place, etcd, file);
      expect(revision).toBe(said.revision + 1);
      expect(lastIndex).toBe(said.raftIndex + uncommitted);
      using snapshot = openSnapshotFile(file, { skipHashCheck: false });
      expect(snapshot.hasHash).toBe(true);
      expect(inspectSnapshot(snapshot.database)).toMatchObject({ revision: said.revision + 1, keys: 501 });
      expect(files()).toEqual(before);
      expect(readdirSync(directory).filter((name) => name.endsWith(".work"))).toEqual([]);
    },
    60_000,
  );

  it.skipIf(etcd === "")(
    "is whole where a crash has cut its last record",
    async () => {
      const torn = copied("torn");
      const { end } = readEtcdWal(torn.walDir)!;
      truncateSync(lastFile(torn), end.offset - 3);
      const member = (await readEtcdMember(torn))!;
      expect(member).toMatchObject({ damage: null });
      expect(member.torn).toHaveLength(1);
      const { lastIndex } = await exportEtcdMember(torn, etcd, join(directory, "torn.db"));
      expect(lastIndex).toBe(member.lastIndex);
    },
    60_000,
  );

  it.skipIf(etcd === "")(
    "is damaged where bytes in its middle were changed, or a file is missing, and is not saved",
    async () => {
      const changed = copied("changed");
      const bytes = readFileSync(lastFile(changed));
      const at = bytes.indexOf("/data/");
      bytes[at] = 0x41;
      writeFileSync(lastFile(changed), bytes);
      expect((await readEtcdMember(changed))!.damage).toMatch(/^its log .*: byte \d+: the checksum is wrong$/);
      const headless = copied("headless");
      rmSync(`${headless.dataDir}/member/snap/db`);
      expect((await readEtcdMember(headless))!.damage).toBe("its database is missing");
      for (const damaged of [changed, headless])
        await expect(exportEtcdMember(damaged, etcd, join(directory, "no.db"))).rejects.toThrow(
          /Cannot use the data in/,
        );
      expect(readdirSync(directory)).not.toContain("no.db");
    },
  );

  it.skipIf(etcd === "")("is in use while that etcd runs", async () => {
    const [other] = [0, 1, 2].filter((at) => cluster.dataDir(at) !== place.dataDir);
    const dataDir = cluster.dataDir(other!);
    const running = { dataDir, walDir: `${dataDir}/member/wal` };
    expect((await readEtcdMember(running))!).toMatchObject({ running: true, clusterId: said.clusterId });
    await expect(exportEtcdMember(running, etcd, join(directory, "no.db"))).rejects.toThrow(/A process uses the data/);
  });

  it.skipIf(etcd === "")("names the program that cannot apply it", async () => {
    copyFileSync("/bin/false", join(directory, "no-etcd"));
    const attempt = exportEtcdMember(place, join(directory, "no-etcd"), join(directory, "no.db"));
    await expect(attempt).rejects.toThrow(/no-etcd cannot use the data/);
  });
});
