/** Starting from a disk on which an earlier start was interrupted. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { makeDirDurably } from "../../../base/durable-file.ts";
import { type AgentConfig, createAgentConfig } from "../../config/agent-config.ts";
import { readSettings } from "../../config/read-settings.ts";
import { awaitsSnapshot, bootstrapState } from "../../raft/bootstrap.ts";
import type { SnapshotMetadata } from "../../raft/configuration.ts";
import type { Member } from "../../state-machine/membership.ts";
import { MembershipStore } from "../../state-machine/membership-store.ts";
import { createNodeFileSystem } from "../../wal/node-file-system.ts";
import { openWal } from "../../wal/open-wal.ts";
import { createAgentEvents } from "../agent-events.ts";
import { bootstrapCluster, encodeIdentity } from "./member-identity.ts";
import { type MemberStorage, openStorage } from "./open-storage.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-open-member-"));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const flags = ["--name=m1", `--data-dir=${directory}`, "--initial-cluster=m1=http://localhost:2380"];
const configWith = (...more: string[]): AgentConfig =>
  createAgentConfig(readSettings([...flags, ...more], {}, () => ""));
const config = configWith();
const initialCluster = bootstrapCluster(config);
const bootstrapped = bootstrapState(initialCluster.members.map(({ id }) => id));

/** The log of an initial member whose process ended before its store had written anything. */
async function beginLog(snapshots: readonly SnapshotMetadata[]): Promise<void> {
  const { wal } = await openWal({
    fileSystem: createNodeFileSystem(config.walDir),
    directory: ".",
    metadata: encodeIdentity(initialCluster.identity),
  });
  await wal.append({ hardState: bootstrapped.hardState, entries: [], snapshot: bootstrapped.snapshot });
  for (const snapshot of snapshots) {
    await wal.append({ hardState: { ...bootstrapped.hardState, commitIndex: snapshot.index }, entries: [], snapshot });
  }
  await wal.close();
}

async function open<Result>(look: (opened: MemberStorage) => Result, member = config): Promise<Result> {
  const opened = await openStorage(member, createAgentEvents());
  try {
    return look(opened);
  } finally {
    await opened.close();
  }
}

function membersIn({ metadata }: MemberStorage["store"]): readonly Member[] {
  const membership = new MembershipStore(metadata);
  membership.load();
  return membership.list();
}

describe("an initial member whose store is still empty", () => {
  it("gets the initial members again", async () => {
    await beginLog([]);
    expect(await open(({ store }) => membersIn(store))).toEqual(initialCluster.members);
  });

  it("starts for the first time when its process ended before its log was created", async () => {
    mkdirSync(config.walDir, { recursive: true });
    writeFileSync(join(config.walDir, "000000000001.log.making"), "");
    expect(await open(({ store }) => membersIn(store))).toEqual(initialCluster.members);
  });

  it("keeps the initial members of its first start, whatever --initial-cluster is later", async () => {
    await beginLog([]);
    await open(() => undefined);
    const elsewhere = configWith("--initial-cluster=m2=http://localhost:2381", "--name=m2");
    expect(await open(({ store }) => membersIn(store), elsewhere)).toEqual(initialCluster.members);
  });

  it("is not bootstrapped with members other than those of its log", async () => {
    await beginLog([]);
    const elsewhere = configWith(
      "--initial-cluster=m1=http://localhost:2381",
      "--initial-advertise-peer-urls=http://localhost:2381",
    );
    await expect(open(() => undefined, elsewhere)).rejects.toThrow(/use the flags of the first start/);
    expect(await open(({ store }) => membersIn(store))).toEqual(initialCluster.members);
  });

  // Found by the simulator: it was mistaken for a member that has the snapshot, although its store had nothing of it.
  it("installs the received snapshot, and does not get the initial members", async () => {
    await beginLog([{ ...bootstrapped.snapshot, index: 15, term: 8 }]);
    const { members, awaits } = await open(({ restored, store }) => ({
      members: membersIn(store),
      awaits: awaitsSnapshot(restored.snapshot.index, store.consistentIndex),
    }));
    expect(members).toEqual([]);
    expect(awaits).toBe(true);
  });
});

describe("a member whose directories cannot be created", () => {
  const file = join(directory, "file");
  it.each([
    ["--data-dir", "/proc/haplan"],
    ["--data-dir", file],
    ["--wal-dir", "/proc/haplan/wal"],
    ["--wal-dir", file],
  ])("names %s for %s, and the remedy", async (flag, path) => {
    makeDirDurably(directory);
    writeFileSync(file, "");
    const member = configWith(`${flag}=${path}`);
    await expect(open(() => undefined, member)).rejects.toThrow(
      new RegExp(`Cannot create the directory "${path}.*set ${flag} to a path where this user may create directories`),
    );
    expect(existsSync(config.walDir)).toBe(false);
  });
});

describe("a member whose log is in another directory", () => {
  const fast = join(directory, "fast");
  const moved = configWith(`--wal-dir=${fast}`);

  it("R21: reports where its log is, and creates nothing in the new directory", async () => {
    await beginLog([]);
    await open(() => undefined);
    await expect(open(() => undefined, moved)).rejects.toThrow(
      `--wal-dir names "${fast}", which contains no log, but there is a log in "${config.walDir}"; move its files to the new directory`,
    );
    expect(existsSync(fast)).toBe(false);
    renameSync(config.walDir, fast);
    expect(await open(({ identity }) => identity, moved)).toEqual(initialCluster.identity);
  });

  it("R21: without the flag the error names the missing directory, and what to do if the log is lost", async () => {
    await open(({ store }) => store.setConsistentIndex(7, 2), moved);
    await expect(open(() => undefined)).rejects.toThrow(
      /has data up to entry 7, but there is no log in .*; if the log is in another directory, set it with --wal-dir; if it is lost, remove/,
    );
    expect(existsSync(config.walDir)).toBe(false);
  });

  it("R21: the new directory may be the root of a file system", async () => {
    mkdirSync(join(fast, "lost+found"), { recursive: true });
    expect(await open(({ store }) => membersIn(store), moved)).toEqual(initialCluster.members);
    expect(await open(({ identity }) => identity, moved)).toEqual(initialCluster.identity);
  });
});
