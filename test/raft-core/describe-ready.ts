/** Formats a `Ready` and its messages as short lines, for transcripts. */
import { isJoint } from "../../src/raft-agent/raft/configuration.ts";
import { decodeConfigurationEntry } from "../../src/raft-agent/raft/configuration-codec.ts";
import { type Entry, EntryKind } from "../../src/raft-agent/raft/entry.ts";
import type { Message } from "../../src/raft-agent/raft/message.ts";
import type { Ready } from "../../src/raft-agent/raft/ready.ts";
import { describeConfiguration, memberNumber } from "./memory-member.ts";

/** `5/2 "x"`: index, term, content. */
export function describeEntry(entry: Entry): string {
  const position = `${entry.index}/${entry.term}`;
  if (entry.kind === EntryKind.configuration) {
    const { configuration } = decodeConfigurationEntry(entry.data);
    return `${position} ${isJoint(configuration) ? "joint" : "configuration"}[${describeConfiguration(configuration)}]`;
  }
  return entry.data.length === 0 ? `${position} empty` : `${position} "${new TextDecoder().decode(entry.data)}"`;
}

export function describeMessage(message: Message): string {
  const route = `${memberNumber(message.from)}->${memberNumber(message.to)} term ${message.term}`;
  return `${route} ${describeBody(message)}`;
}

function describeBody(message: Message): string {
  switch (message.kind) {
    case "voteRequest": {
      const what = message.preVote ? "pre-vote?" : "vote?";
      return `${what} log ends ${message.lastLogIndex}/${message.lastLogTerm}${message.leadershipTransfer ? " (transfer)" : ""}`;
    }
    case "voteResponse":
      return `${message.preVote ? "pre-vote" : "vote"} ${message.granted ? "granted" : "rejected"}`;
    case "appendRequest": {
      const entries = message.entries.map(describeEntry).join(", ");
      return `append after ${message.previousIndex}/${message.previousTerm} commit ${message.commitIndex} [${entries}]`;
    }
    case "appendResponse":
      return message.accepted
        ? `accepted up to ${message.index}`
        : `rejected after ${message.index}, hint ${message.hintIndex}/${message.hintTerm}`;
    case "heartbeatRequest":
      return `heartbeat commit ${message.commitIndex} round ${message.readRound}`;
    case "heartbeatResponse":
      return `heartbeat answered round ${message.readRound}`;
    case "snapshotRequest": {
      const { index, term, configuration } = message.snapshot;
      return `snapshot ${index}/${term} [${describeConfiguration(configuration)}]`;
    }
    case "timeoutNowRequest":
      return "timeout now";
    case "forwardedProposals":
      return `forwards ${message.proposals.map((data) => `"${new TextDecoder().decode(data)}"`).join(", ")}`;
    case "readIndexRequest":
      return "read index?";
    case "readIndexResponse":
      return `read index ${message.index}`;
  }
}

/** One line for each duty of the driver. */
export function describeReady(ready: Ready): readonly string[] {
  const lines: string[] = [];
  const { softState, hardState, installSnapshot } = ready;
  if (softState !== null) {
    const leader = softState.leader === null ? "none" : memberNumber(softState.leader);
    lines.push(`is ${softState.role} in term ${softState.term}, follows ${leader}`);
  }
  if (installSnapshot !== null) lines.push(`installs ${installSnapshot.index}/${installSnapshot.term}`);
  if (ready.entries.length > 0) lines.push(`writes ${ready.entries.map(describeEntry).join(", ")}`);
  if (hardState !== null) {
    const vote = hardState.votedFor === null ? "none" : memberNumber(hardState.votedFor);
    lines.push(`writes term ${hardState.term}, vote for ${vote}, commit ${hardState.commitIndex}`);
  }
  for (const message of ready.messages) lines.push(`sends ${describeMessage(message)}`);
  for (const message of ready.messagesAfterPersist) lines.push(`sends when durable ${describeMessage(message)}`);
  if (ready.committed.length > 0) lines.push(`applies ${ready.committed.map(describeEntry).join(", ")}`);
  for (const { context, index } of ready.reads) lines.push(`may answer read ${context} at ${index}`);
  for (const context of ready.failedReads) lines.push(`fails read ${context}`);
  return lines;
}
