/** The metrics of a method. Plain numbers in place: counting a call allocates nothing. */
export type MethodCounters = {
  readonly path: string;
  readonly kind: "unary" | "stream";
  started: number;
  /** Calls that ended, by status code. A call that the client cancelled counts under `cancelled`. */
  readonly handled: Float64Array;
  messagesReceived: number;
  messagesSent: number;
  /** Message bytes, without prefixes and frames. */
  bytesReceived: number;
  bytesSent: number;
};

export function methodCounters(path: string, kind: "unary" | "stream"): MethodCounters {
  return {
    path,
    kind,
    started: 0,
    handled: new Float64Array(17),
    messagesReceived: 0,
    messagesSent: 0,
    bytesReceived: 0,
    bytesSent: 0,
  };
}
