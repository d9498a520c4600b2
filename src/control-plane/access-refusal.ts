/** Maps a member's authentication errors to reasons. */
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";

export type Refusal = "user needed" | "not permitted" | null;

/** Errors for a call without a user, or with a user without permission. */
export function refusedFor(error: unknown): Refusal {
  if (!(error instanceof GrpcError)) return null;
  if (error.message.includes("user name is empty")) return "user needed";
  return error.code === StatusCode.permissionDenied ? "not permitted" : null;
}
