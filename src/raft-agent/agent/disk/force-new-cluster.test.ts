/** The effect of --force-new-cluster on the disk of a survivor, across several starts. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HaplanError } from "../../../base/haplan-error.ts";
import { type AgentConfig, createAgentConfig } from "../../config/agent-config.ts";
import { readSettings } from "../../config/read-settings.ts";
import { bootstrapState, joiningState } from "../../raft/bootstrap.ts";
import { decodeConfigurationEntry, encodeConfigurationEntry } from "../../raft/configuration-codec.ts";
import { type Entry, EntryKind, type MemberId } from "../../raft/entry.ts";
import type { RestoredState } from "../../raft/state.ts";
import { CommandKind, createCommandCodec } from "../../state-machine/command.ts";
import { encodeJson, type MemberUpdateBody } from "../../state-machine/command-body.ts";
import { type AddedMember, encodeMembershipContext } from "../../state-machine/membership.ts";
import { createNodeFileSystem } from "../../wal/node-file-system.ts";
import { openWal } from "../../wal/open-wal.ts";
import type { WalBatch } from "../../wal/wal.ts";
import { createAgentEvents } from "../agent-events.ts";
import { createDirectoryHandler } from "../cluster-directory.ts";
import { forgetLostEntries, rememberLostEntries } from "./lost-entries.ts";
import { bootstrapCluster, encodeIdentity, type InitialCluster } from "./member-identity.ts";
import { openStorage } from "./open-storage.ts";

const host = "127.77.42.2";
const force = "--force-new-cluster";

let config: AgentConfig;
let initialCluster: InitialCluster;
let self: MemberId;
let others: MemberId[];
beforeEach(() => {
  config = configWith();
  initialCluster = bootstrapCluster(config);
  self = initialCluster.identity.memberId;
  others = initialCluster.members
    .map(({ id }) => id)
    .filter((id) => id !== self)
    .sort();
});
const directory = mkdtempSync(join(tmpdir(), "haplan-force-"));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function configWith(...flags: string[]): AgentConfig {
  const urls = [1, 2, 3].map((member) => `http://${host}:${4200 + member}`);
  const cluster = urls.map((url, at) => `m${at + 1}=${url}`).join();
  const where = [`--data-dir=${directory}`, `--initial-cluster=${cluster}`, `--initial-advertise-peer-urls=${urls[0]}`];
  return createAgentConfig(readSettings(["--name=m1", ...where, ...flags], {}, () => ""));
}

/** Writes to the log of the stopped member. */
async function write(...batches: WalBatch[]): Promise<void> {
  const metadata = encodeIdentity(initialCluster.identity);
  const { wal } = await openWal({ fileSystem: createNodeFileSystem(config.walDir), directory: ".", metadata });
  for (const batch of batches) await wal.append(batch);
  await wal.close();
}

async function start(...flags: string[]): Promise<{ restored: RestoredState; notices: readonly string[] }> {
  const { restored, notices, close } = await openStorage(configWith(...flags), createAgentEvents());
  await close();
  return { restored, notices };
}

function votersOf({ entries }: RestoredState): readonly MemberId[] {
  return decodeConfigurationEntry(entries.at(-1)!.data).configuration.voters;
}

const entry = (index: number, text: string): Entry => ({
  term: 2,
  index,
  kind: EntryKind.normal,
  data: Buffer.from(text),
});
const configuration = (index: number, voters: MemberId[], added: AddedMember[]): Entry => ({
  term: 4,
  index,
  kind: EntryKind.configuration,
  data: encodeConfigurationEntry({
    configuration: { voters, votersOutgoing: [], learners: [] },
    context: encodeMembershipContext({ added }),
  }),
});
const newcomer = (id: MemberId, port: number): AddedMember => ({
  id,
  peerUrls: [`http://${host}:${port}`],
  learner: false,
});
const memberUpdate = (index: number, body: MemberUpdateBody): Entry => ({
  term: 4,
  index,
  kind: EntryKind.normal,
  data: createCommandCodec(others[0]!).encode(CommandKind.memberUpdate, 1, encodeJson(body)),
});

/** Responds on a peer port like a member of the cluster. */
async function answerAt(port: number): Promise<{ close(): Promise<unknown> }> {
  const { clusterId } = initialCluster.identity;
  const server = createServer(createDirectoryHandler({ clusterId, version: "3.6.1", members: () => [] }));
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  return { close: () => new Promise((resolve) => server.close(resolve)) };
}

/** A follower of three: it knows that the first of its three entries is committed. */
async function beginSurvivor(): Promise<void> {
  const founded = bootstrapState([self, ...others]);
  const entries = [entry(2, "known"), entry(3, "perhaps"), entry(4, "acknowledged")];
  const hardState = { term: 2, votedFor: others[0]!, commitIndex: 2 };
  await write(
    { hardState: founded.hardState, entries: [], snapshot: founded.snapshot },
    { hardState, entries, snapshot: null },
  );
  await start();
}

describe("--force-new-cluster", () => {
  it("keeps the whole log, and appends a configuration of this member alone", async () => {
    await beginSurvivor();
    const forced = await start(force);
    const texts = forced.restored.entries.slice(0, -1).map(({ data }) => Buffer.from(data).toString());
    expect(texts).toEqual(["known", "perhaps", "acknowledged"]);
    expect(votersOf(forced.restored)).toEqual([self]);
    expect(forced.restored.entries.at(-1)).toMatchObject({ term: 3, index: 5 });
    expect(forced.restored.hardState).toEqual({ term: 3, votedFor: self, commitIndex: 5 });
    expect(forced.notices.join()).toMatch(
      new RegExp(`${self} continues as the only member.*without ${others.join(" and ")}`),
    );
    expect((await start()).restored).toEqual(forced.restored);
  });

  it("takes effect once, and again after a start without it", async () => {
    await beginSurvivor();
    await start(force);
    const newcomers = [newcomer("00000000000000aa", 4204), newcomer("00000000000000bb", 4205)];
    const grown = [self, ...newcomers.map(({ id }) => id)].sort();
    await write({
      hardState: { term: 4, votedFor: self, commitIndex: 6 },
      entries: [configuration(6, grown, newcomers)],
      snapshot: null,
    });
    const left = await start(force);
    expect(votersOf(left.restored)).toEqual(grown);
    expect(left.notices.join()).toContain("no longer has an effect");
    expect(votersOf((await start()).restored)).toEqual(grown);
    expect(votersOf((await start(force)).restored)).toEqual([self]);
  });

  it("R20: accepts data with lost entries, but only where it takes effect", async () => {
    await beginSurvivor();
    const lost = new HaplanError("raft/lost-entries", "Its log ends before what it had acknowledged");
    rememberLostEntries(config, lost);
    await expect(start()).rejects.toThrow(/lost entries that it had acknowledged/);
    expect(votersOf((await start(force)).restored)).toEqual([self]);
    expect(votersOf((await start()).restored)).toEqual([self]);
    // The flag was left in the unit, and the member's data was restored once more.
    await start(force);
    rememberLostEntries(config, lost);
    await expect(start(force)).rejects.toThrow(/lost entries that it had acknowledged/);
  });

  it("is rejected while there is a majority with this member", async () => {
    await beginSurvivor();
    rememberLostEntries(config, new HaplanError("raft/lost-entries", "Its log ends too early"));
    const second = await answerAt(4202);
    await expect(start(force)).rejects.toThrow(
      /there is a majority with it, since [0-9a-f]{16} at http:.*:4202 still responds; start it without the flag/,
    );
    // R20: data that the flag would have accepted is not better because the flag was rejected.
    await expect(start()).rejects.toThrow(/lost entries that it had acknowledged/);
    await second.close();
    forgetLostEntries(config);
    expect((await start()).restored.entries).toHaveLength(3);
  });

  it("asks members that only the log names, and at addresses that only the log has", async () => {
    await beginSurvivor();
    const aa = newcomer("00000000000000aa", 4204);
    const hardState = { term: 4, votedFor: null, commitIndex: 5 };
    const grown = [self, others[0]!, aa.id].sort();
    await write({ hardState, entries: [configuration(5, grown, [aa])], snapshot: null });
    const added = await answerAt(4204);
    await expect(start(force)).rejects.toThrow(/since 00000000000000aa at http:.*:4204 still responds/);
    await added.close();
    const moved = memberUpdate(6, { id: aa.id, peerUrls: [`http://${host}:4206`] });
    await write({ hardState, entries: [moved], snapshot: null });
    const there = await answerAt(4206);
    await expect(start(force)).rejects.toThrow(/since 00000000000000aa at .*:4206 still responds/);
    await there.close();
    expect(votersOf((await start(force)).restored)).toEqual([self]);
  });

  it("is rejected while a voter has no known address", async () => {
    await beginSurvivor();
    const grown = [self, "00000000000000aa", "00000000000000bb"].sort();
    const hardState = { term: 4, votedFor: null, commitIndex: 5 };
    await write({ hardState, entries: [configuration(5, grown, [])], snapshot: null });
    await expect(start(force)).rejects.toThrow("it is unknown whether 00000000000000aa and 00000000000000bb are lost");
  });

  it("is rejected where there is no usable data", async () => {
    await expect(start(force)).rejects.toThrow(`"${directory}" holds no usable member data`);
    const { hardState, snapshot } = joiningState();
    initialCluster = { ...initialCluster, identity: { ...initialCluster.identity, founder: false } };
    await write({ hardState, entries: [], snapshot });
    await expect(start(force)).rejects.toThrow("it has not received the cluster's data, or was removed from it");
  });
});
