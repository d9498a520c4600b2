/** The shape of a role: an answer to every kind of message, so that a missing one does not compile. */
import type { MessageKind, MessageOf } from "./message.ts";
import type { RaftState } from "./state.ts";

/** What a role does with each message of the current term (SPEC.md shows the whole table). */
export type Reactions = {
  readonly [Kind in MessageKind]: (state: RaftState, message: MessageOf<Kind>) => void;
};

/** For messages that mean nothing in a role: late answers, or requests that went to the wrong member. */
export function ignore(): void {}
