/** Puts messages into the outbox: at once, or after the disk holds what they promise. */
import type { LogIndex, MemberId } from "./entry.ts";
import type { MessageBody } from "./message.ts";
import type { RaftState } from "./state.ts";

/** Sends a message that promises nothing about the local disk. */
export function send(state: RaftState, to: MemberId, body: MessageBody): void {
  state.outbox.messages.push({ from: state.id, to, term: state.term, ...body });
}

/** Sends a message that promises what the local disk holds; it is sent once that is durable. */
export function sendAfterPersist(state: RaftState, to: MemberId, body: MessageBody): void {
  state.outbox.afterPersist.push({ from: state.id, to, term: state.term, ...body });
}

/** Acknowledges to the leader that the log up to `index` is equal to its own, and durable. */
export function acknowledge(state: RaftState, to: MemberId, index: LogIndex): void {
  const body = { kind: "appendResponse", accepted: true, index, hintIndex: 0, hintTerm: 0 } as const;
  if (!state.settings.rules.acknowledgementWaitsForDisk) send(state, to, body);
  else state.outbox.acknowledge({ from: state.id, to, term: state.term, ...body });
}
