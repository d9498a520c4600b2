/** Reading the data of a member that does not run: nothing changes, and damage is told from what a crash leaves. */
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HaplanError } from "../../../base/haplan-error.ts";
import { decodeKeyValue } from "../../api/key-value.ts";
import { encodePutRequest } from "../../api/put.ts";
import { type AgentConfig, createAgentConfig } from "../../config/agent-config.ts";
import { readSettings } from "../../config/read-settings.ts";
import { inspectSnapshot } from "../../etcd-snapshot/inspect-snapshot.ts";
import { readChanges } from "../../etcd-snapshot/read-changes.ts";
import { openSnapshotFile } from "../../etcd-snapshot/snapshot-file.ts";
import { bootstrapState } from "../../raft/bootstrap.ts";
import { encodeConfigurationEntry } from "../../raft/configuration-codec.ts";
import { type Entry, EntryKind, type Term } from "../../raft/entry.ts";
import { CommandKind, createCommandCodec } from "../../state-machine/command.ts";
import { encodeMembershipContext } from "../../state-machine/membership.ts";
import { createNodeFileSystem } from "../../wal/node-file-system.ts";
import { openWal } from "../../wal/open-wal.ts";
import type { Wal } from "../../wal/wal.ts";
import { createAgentEvents } from "../agent-events.ts";
import { exportMember } from "./export-member.ts";
import { rememberLostEntries } from "./lost-entries.ts";
import { bootstrapCluster, encodeIdentity, type InitialCluster } from "./member-identity.ts";
import { openStorage } from "./open-storage.ts";
import { readMember } from "./read-member.ts";

let root: string;
let config: AgentConfig;
let cluster: InitialCluster;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "haplan-read-member-"));
  const urls = [1, 2, 3].map((n) => `m${n}=http://127.0.0.${n}:2380`).join();
  const flags = [`--data-dir=${root}/data`, "--name=m1", `--initial-cluster=${urls}`];
  config = createAgentConfig(
    readSettings([...flags, "--initial-advertise-peer-urls=http://127.0.0.1:2380"], {}, () => ""),
  );
  cluster = bootstrapCluster(config);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function withLog<Result>(use: (wal: Wal) => Promise<Result>): Promise<Result> {
  const metadata = encodeIdentity(cluster.identity);
  const { wal } = await openWal({ fileSystem: createNodeFileSystem(config.walDir), directory: ".", metadata });
  try {
    return await use(wal);
  } finally {
    await wal.close();
  }
}

function put(index: number, term: Term, key: string): Entry {
  const rest = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  const request = encodePutRequest({ key: Buffer.from(key), value: Buffer.from(`${index}`), ...rest });
  return {
    index,
    term,
    kind: EntryKind.normal,
    data: createCommandCodec("aa".repeat(8)).encode(CommandKind.put, 1, request),
  };
}

/** A member that knows that entry 2 is committed, of the entries 2 to 4. */
async function begin(): Promise<void> {
  const { hardState, snapshot } = bootstrapState(cluster.members.map(({ id }) => id));
  await withLog(async (wal) => {
    await wal.append({ hardState, entries: [], snapshot });
    await wal.append({
      hardState: { term: 3, votedFor: cluster.identity.memberId, commitIndex: 2 },
      entries: [put(2, 2, "/a"), put(3, 3, "/b"), put(4, 3, "/c")],
      snapshot: null,
    });
  });
  const { close } = await openStorage(config, createAgentEvents());
  await close();
}

/** Everything below the directory except LMDB's table of readers. */
function content(directory = config.dataDir): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith("-lock"))
    .map(
      ({ parentPath, name }) => `${join(parentPath, name)} ${readFileSync(join(parentPath, name)).toString("latin1")}`,
    )
    .sort();
}

function segment(): string {
  return join(config.walDir, readdirSync(config.walDir).filter((name) => name.endsWith(".log"))[0]!);
}

/** Where the last entry's key is in the log. */
function positionOf(text: string): number {
  return readFileSync(segment()).lastIndexOf(text);
}

function overwrite(position: number, bytes: string): void {
  const file = openSync(segment(), "r+");
  writeSync(file, Buffer.from(bytes), 0, bytes.length, position);
  closeSync(file);
}

describe("the data of a member that does not run", () => {
  it("says how far its log reaches, and changes nothing", async () => {
    await begin();
    const before = content();
    const member = (await readMember(config))!;
    expect(member).toMatchObject({
      ...{ memberId: cluster.identity.memberId, clusterId: cluster.identity.clusterId, running: false },
      hardState: { term: 3, votedFor: cluster.identity.memberId, commitIndex: 2 },
      ...{ firstIndex: 2, lastIndex: 4, lastTerm: 3, revision: 1, torn: [], damage: null },
    });
    expect(member.configuration.voters).toEqual(cluster.members.map(({ id }) => id).sort());
    expect(member.members.map(({ peerUrls }) => peerUrls[0]).sort()).toEqual(
      [1, 2, 3].map((n) => `http://127.0.0.${n}:2380`),
    );
    expect(content()).toEqual(before);
  });

  it("is told as running, and with a joint configuration", async () => {
    await begin();
    const voters = cluster.members.map(({ id }) => id).sort();
    await withLog(async (wal) => {
      const configuration = { voters: voters.slice(1), votersOutgoing: voters, learners: ["00000000000000ee"] };
      const data = encodeConfigurationEntry({ configuration, context: encodeMembershipContext({ added: [] }) });
      await wal.append({
        hardState: null,
        entries: [{ index: 5, term: 3, kind: EntryKind.configuration, data }],
        snapshot: null,
      });
      expect(await readMember(config)).toMatchObject({ running: true, configuration, lastIndex: 5 });
      await expect(exportMember(config, join(root, "out.db"))).rejects.toThrow(/A process uses the data/);
    });
  });

  it("has a torn tail after a crash, which is no damage", async () => {
    await begin();
    const bytes = readFileSync(segment());
    const at = positionOf("/c");
    // The tail of the last batch never reached the disk.
    writeFileSync(segment(), Buffer.concat([bytes.subarray(0, at), Buffer.alloc(bytes.length - at)]));
    const member = (await readMember(config))!;
    expect(member).toMatchObject({ damage: null, torn: [{ bytes: expect.any(Number) }] });
    expect(member.lastIndex).toBeLessThan(4);
  });

  it("is damaged where a batch in the middle has changed", async () => {
    await begin();
    await withLog((wal) => wal.append({ hardState: null, entries: [put(5, 3, "/later")], snapshot: null }));
    overwrite(positionOf("/b"), "/X");
    const member = (await readMember(config))!;
    expect(member.damage).toMatch(/a damaged batch 2, although batch 3 was written after it/);
    expect(member.memberId).toBe(cluster.identity.memberId);
    await expect(exportMember(config, join(root, "out.db"))).rejects.toThrow(/Cannot use the data in/);
    expect(readdirSync(root)).toEqual(["data"]);
  });

  it.each<[string, () => void, RegExp]>([
    [
      "its store was cut",
      () =>
        writeFileSync(
          join(config.dataDir, "member/snap/store.mdb"),
          readFileSync(join(config.dataDir, "member/snap/store.mdb")).subarray(0, 4096),
        ),
      /was truncated/,
    ],
    [
      "it has lost entries before",
      () => rememberLostEntries(config, new HaplanError("raft/lost-entries", "Its log ends early")),
      /ends early/,
    ],
  ])("is damaged when %s", async (_, damage, said) => {
    await begin();
    damage();
    expect((await readMember(config))?.damage).toMatch(said);
  });

  it("is not there without a log", async () => {
    expect(await readMember(config)).toBeNull();
    await expect(exportMember(config, join(root, "out.db"))).rejects.toThrow(/There is no log in/);
  });
});

describe("the snapshot of a member that does not run", () => {
  it("has every entry of its log, known to be committed or not, and leaves its files as they are", async () => {
    await begin();
    const before = content();
    const out = join(root, "out.db");
    expect(await exportMember(config, out)).toMatchObject({ lastIndex: 4, lastTerm: 3, revision: 4 });
    expect(content()).toEqual(before);
    using file = openSnapshotFile(out, { skipHashCheck: false });
    expect(file.hasHash).toBe(true);
    expect(inspectSnapshot(file.database)).toMatchObject({ revision: 4, keys: 3 });
    const keys = [...readChanges(file.database, -1)].map(({ value }) =>
      Buffer.from(decodeKeyValue(value).key).toString(),
    );
    expect(keys).toEqual(["/a", "/b", "/c"]);
    expect(statSync(out).mode & 0o077).toBe(0);
  });

  it("is complete or absent", async () => {
    await begin();
    appendFileSync(segment(), "more than a segment has");
    const out = join(root, "out.db");
    await expect(exportMember(config, out)).rejects.toThrow();
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(root)).toEqual(["data"]);
  });
});
