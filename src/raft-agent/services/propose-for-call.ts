/** Proposes a command for a client's call: in the caller's name, and answered only while the call is open. */
import type { ServerCall } from "../grpc/call.ts";
import type { CommandKind } from "../state-machine/command.ts";
import type { AppliedBy } from "../state-machine/command-table.ts";
import { type EtcdError, isEtcdError } from "../state-machine/etcd-error.ts";
import { failCall, guarded } from "./answer.ts";
import type { ServiceContext } from "./service-context.ts";

/** Proposes a command; `done` responds to the call once it is applied. Errors are answered here. */
export function propose<Kind extends CommandKind>(
  context: ServiceContext,
  call: ServerCall,
  kind: Kind,
  body: Uint8Array,
  done: (applied: AppliedBy<Kind>) => void,
): void {
  const caller = context.access.callerOf(call);
  if (isEtcdError(caller)) {
    failCall(call, caller);
    return;
  }
  const answered = (result: AppliedBy<Kind> | EtcdError): void => {
    if (!call.open) return;
    if (isEtcdError(result)) failCall(call, result);
    else guarded(call, done, result);
  };
  context.proposer.propose(kind, body, answered, { caller, call });
}
