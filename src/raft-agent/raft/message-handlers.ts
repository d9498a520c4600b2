/** The shape of a role: a handler for every kind of message, so that a missing one does not compile. */
import type { MessageKind, MessageOf } from "./message.ts";
import type { RaftState } from "./state.ts";

/** The message handlers of a role, for messages of the current term (SPEC.md has the whole table). */
export type MessageHandlers = {
  readonly [Kind in MessageKind]: (state: RaftState, message: MessageOf<Kind>) => void;
};

/** For messages that have no meaning in a role: late responses, or requests sent to the wrong member. */
export function ignore(): void {}
