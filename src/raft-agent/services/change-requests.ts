/**
 * Forwards a client's membership change from the member that received it to the leader. The receiving member assigns
 * an id and retries at the leader until it knows the result; see `MemberChanges` for the purpose of the id.
 */

import type { ChangeDecision } from "../consensus/member-changes.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { CompletedChange } from "../state-machine/completed-changes.ts";
import { isEtcdError } from "../state-machine/etcd-error.ts";
import { answerBytes, failCall, type UnaryHandler } from "./answer.ts";
import { type ForwardOptions, forwardToLeader } from "./peer-requests.ts";
import type { ServiceContext } from "./service-context.ts";

/** A request to be decided on the leader, and answered with the encoded response. */
export type Change = {
  readonly decide: ChangeDecision;
  answer(completed: CompletedChange): Uint8Array;
};

export type ChangeHandler = (context: ServiceContext, request: Uint8Array) => Change;

/** Runs on every member; a change from another member with an id is applied here, or rejected as `notLeader`. */
export function changeOnLeader(
  context: ServiceContext,
  handler: ChangeHandler,
  options: Pick<ForwardOptions, "convertAnswer"> = {},
): UnaryHandler {
  return (request, call) => {
    if (call.changeId !== undefined) carryOut(context, handler(context, request), call, call.changeId);
    else forwardToLeader(context, request.slice(), call, { ...options, changeId: context.createChangeId() });
  };
}

function carryOut(context: ServiceContext, change: Change, call: ServerCall, id: string): void {
  context.memberChanges.change(id, change.decide, (result) => {
    if (!call.open) return;
    if (isEtcdError(result)) failCall(call, result);
    else answerBytes(call, change.answer(result));
  });
}
