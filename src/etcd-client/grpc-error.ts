/** The error of a gRPC call: the server's status, or UNAVAILABLE, CANCELLED, DEADLINE_EXCEEDED from the client. */
import { StatusCode } from "../raft-agent/api/status-code.ts";

export class GrpcError extends Error {
  override readonly name = "GrpcError";
  readonly code: StatusCode;
  /** True if the server has certainly not seen the call, so that any call may be tried elsewhere. */
  readonly notProcessed: boolean;

  constructor(code: StatusCode, message: string, options: { notProcessed?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.notProcessed = options.notProcessed ?? false;
  }
}

/** `UNAVAILABLE`, `NOT_FOUND`, ...: gRPC's name of a code. */
export function statusName(code: StatusCode): string {
  const name = Object.entries(StatusCode).find(([, value]) => value === code)?.[0] ?? `code${code}`;
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
