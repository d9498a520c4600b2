/**
 * A client's change of the members, from the member that was asked to the leader and back. The member that was asked
 * gives it an id and asks the leader until it knows the outcome; see `MemberChanges` for what the id is good for.
 */

import type { ChangeDecision } from "../consensus/member-changes.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { CompletedChange } from "../state-machine/completed-changes.ts";
import { isEtcdError } from "../state-machine/etcd-error.ts";
import { answerBytes, fail, type UnaryHandler } from "./answer.ts";
import { type ForwardOptions, forwardToLeader } from "./peer-requests.ts";
import type { ServiceContext } from "./service-context.ts";

/** What a request asks for: to be decided on the leader, and answered with the bytes of the response. */
export type Change = {
  readonly decide: ChangeDecision;
  answer(completed: CompletedChange): Uint8Array;
};

export type ChangeHandler = (context: ServiceContext, request: Uint8Array) => Change;

/** Runs on every member; what comes from another member under an id is carried out here, or refused as `notLeader`. */
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
    if (isEtcdError(result)) fail(call, result);
    else answerBytes(call, change.answer(result));
  });
}
