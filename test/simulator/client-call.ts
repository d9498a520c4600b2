/** An API call, from both sides: what a service receives, without sockets and frames. */

import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import type { ServerCall } from "../../src/raft-agent/grpc/call.ts";
import { copyBytes } from "../../src/raft-agent/wal/byte-codec.ts";

export type CallOutcome = { readonly code: StatusCode; readonly text: string; readonly message: Uint8Array };

export class ClientCall implements ServerCall {
  readonly path: string;
  readonly clientCommonName: undefined;
  readonly remoteAddress = "simulated";
  open = true;
  readonly #done: (outcome: CallOutcome) => void;
  #message: Uint8Array = new Uint8Array(0);

  constructor(path: string, done: (outcome: CallOutcome) => void) {
    this.path = path;
    this.#done = done;
  }

  header(): undefined {
    return undefined;
  }

  send(message: Uint8Array): boolean {
    if (this.open) this.#message = copyBytes(message);
    return true;
  }

  finish(code: StatusCode = StatusCode.ok, text = ""): void {
    if (!this.open) return;
    this.open = false;
    this.#done({ code, text, message: this.#message });
  }
}
