/** A violation of RFC 9113 or 7541 that ends the whole connection (§5.4.1): GOAWAY with `code`, then close. */
import { ErrorCode } from "./frame.ts";

export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function protocolError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.protocolError, message);
}

/** A frame whose type prescribes another length (RFC 9113 §4.2). */
export function frameSizeError(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.frameSizeError, `${what} frame has a wrong length`);
}

/** A client that causes more work than allowed (see flood-guard.ts). */
export function floodError(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.enhanceYourCalm, `too many frames: ${what}`);
}
