/**
 * The consensus core alone: three members in memory, no disk, no sockets, no codec. Measures how many entries per
 * second are appended by the leader, replicated to both followers, committed, and delivered on all three.
 *
 *   npm run build:tools && node build/bench/raft-core.js [--json]
 */
import { createRandom } from "../src/base/random.ts";
import { bootstrapState } from "../src/raft-agent/raft/bootstrap.ts";
import type { MemberId } from "../src/raft-agent/raft/entry.ts";
import type { Message } from "../src/raft-agent/raft/message.ts";
import { Raft } from "../src/raft-agent/raft/raft.ts";

const payloadBytes = 256;
const secondsForEachBatchSize = 0.8;
const batchSizes = [1, 16, 256, 4096];
/** How much of the log stays in memory before the applied index. */
const keptEntries = 10_000;

type Member = { readonly id: MemberId; readonly raft: Raft; appliedIndex: number; compactedIndex: number };
type Result = { readonly batchSize: number; readonly entriesPerSecond: number; readonly roundsPerSecond: number };

function createCluster(): readonly Member[] {
  const ids = ["0000000000000001", "0000000000000002", "0000000000000003"];
  return ids.map((id, seed) => {
    const raft = new Raft({ id, random: createRandom(seed) }, bootstrapState(ids));
    return { id, raft, appliedIndex: 1, compactedIndex: 1 };
  });
}

/** Lets every member work until nothing is left to do; disks are immediate. */
function settle(members: readonly Member[]): void {
  for (let isBusy = true; isBusy; ) {
    isBusy = false;
    for (const member of members) if (work(members, member)) isBusy = true;
  }
}

function work(members: readonly Member[], member: Member): boolean {
  const ready = member.raft.takeReady();
  if (ready === null) return false;
  deliver(members, ready.messages);
  if (ready.persistTicket !== null) member.raft.step({ kind: "persisted", ticket: ready.persistTicket });
  deliver(members, ready.messagesAfterPersist);
  const last = ready.committed.at(-1);
  if (last === undefined) return true;
  member.appliedIndex = last.index;
  member.raft.step({ kind: "applied", index: last.index });
  if (last.index - member.compactedIndex > 2 * keptEntries) {
    member.compactedIndex = last.index - keptEntries;
    member.raft.compact(member.compactedIndex);
  }
  return true;
}

function deliver(members: readonly Member[], messages: readonly Message[]): void {
  for (const message of messages) {
    for (const member of members) if (member.id === message.to) member.raft.step({ kind: "message", message });
  }
}

function measure(batchSize: number, seconds: number): Result {
  const members = createCluster();
  const [leader] = members;
  if (leader === undefined) throw new Error("A cluster has members");
  leader.raft.step({ kind: "campaign" });
  settle(members);
  const batch = Array.from({ length: batchSize }, () => new Uint8Array(payloadBytes));
  const start = performance.now();
  const startIndex = leader.appliedIndex;
  let rounds = 0;
  while (performance.now() - start < seconds * 1000) {
    if (!leader.raft.propose(batch).accepted) throw new Error("The leader rejects a batch");
    settle(members);
    rounds += 1;
  }
  const elapsedSeconds = (performance.now() - start) / 1000;
  const committed = Math.min(...members.map((member) => member.appliedIndex)) - startIndex;
  if (committed !== rounds * batchSize) throw new Error(`${committed} of ${rounds * batchSize} entries were applied`);
  return { batchSize, entriesPerSecond: committed / elapsedSeconds, roundsPerSecond: rounds / elapsedSeconds };
}

measure(256, 0.3);
const results = batchSizes.map((batchSize) => measure(batchSize, secondsForEachBatchSize));
if (process.argv.includes("--json")) {
  process.stdout.write(`${JSON.stringify({ payloadBytes, results })}\n`);
} else {
  for (const { batchSize, entriesPerSecond, roundsPerSecond } of results) {
    const entries = Math.round(entriesPerSecond).toLocaleString("en").padStart(12);
    const rounds = Math.round(roundsPerSecond).toLocaleString("en").padStart(10);
    process.stdout.write(`batch of ${String(batchSize).padStart(4)}: ${entries} entries/s ${rounds} rounds/s\n`);
  }
}
