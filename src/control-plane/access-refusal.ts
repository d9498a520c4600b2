/** What a member that keeps haplan out says of the reason. */
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";

export type Refusal = "user needed" | "not permitted" | null;

/** What a member says to a call without a user, or by one who may not. */
export function refusedFor(error: unknown): Refusal {
  if (!(error instanceof GrpcError)) return null;
  if (error.message.includes("user name is empty")) return "user needed";
  return error.code === StatusCode.permissionDenied ? "not permitted" : null;
}
