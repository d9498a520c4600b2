/** The line "request stats" that etcd logs for each unary request above `--warning-unary-request-duration`. */
import type { Logger } from "pino";
import { decodeDeleteRangeResponse } from "../../api/delete-range.ts";
import { decodeRangeResponse } from "../../api/range.ts";
import { decodeTxnRequest } from "../../api/txn.ts";
import type { SlowRequest, SlowRequestOptions } from "../../grpc/slow-requests.ts";
import { requestText } from "./request-text.ts";

/** When everything is slow, the log must not make it slower. */
const linesPerSecondMax = 20;
/** Larger responses are not decoded again for their count. */
const countedBytesMax = 1_048_576;

export class RequestStats implements SlowRequestOptions {
  readonly thresholdMs: number;
  readonly #logger: Pick<Logger, "warn">;
  readonly #now: () => number;
  #second = 0;
  #lines = 0;
  #omitted = 0;

  constructor(thresholdMs: number, logger: Pick<Logger, "warn">, now: () => number = Date.now) {
    this.thresholdMs = thresholdMs;
    this.#logger = logger;
    this.#now = now;
  }

  countResponse(path: string, message: Uint8Array): number | null {
    if (message.length > countedBytesMax) return null;
    if (path === "/etcdserverpb.KV/Range") return decodeRangeResponse(message).count;
    return path === "/etcdserverpb.KV/DeleteRange" ? decodeDeleteRangeResponse(message).deleted : 0;
  }

  onSlow(request: SlowRequest): void {
    const nowMs = this.#now();
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    if (this.#lines >= linesPerSecondMax) {
      this.#omitted++;
      return;
    }
    this.#lines++;
    const omitted = this.#omitted;
    this.#omitted = 0;
    this.#logger.warn(
      {
        "start time": new Date(nowMs - request.tookMs).toISOString(),
        "time spent": goDuration(request.tookMs),
        remote: request.remoteAddress,
        "response type": request.path,
        ...contentOf(request),
        ...(omitted === 0 ? {} : { omitted }),
      },
      "request stats",
    );
  }
}

const keyValueMethods = /^\/etcdserverpb\.KV\/(Range|Put|DeleteRange|Txn)$/;

/** etcd knows the contents of four methods, and reports -1 for all others. */
function contentOf({ path, request, requestBytes, responseBytes, responseCount }: SlowRequest): object {
  const isKnown = keyValueMethods.test(path);
  return {
    "request count": isKnown ? requestCount(path, request) : -1,
    "request size": isKnown ? requestBytes : -1,
    "response count": isKnown ? (responseCount ?? -1) : -1,
    "response size": isKnown ? responseBytes : -1,
    "request content": request === null ? "" : (unlessMalformed(() => requestText(path, request)) ?? ""),
  };
}

function requestCount(path: string, request: Uint8Array | null): number {
  if (path.endsWith("/Put")) return 1;
  if (!path.endsWith("/Txn")) return 0;
  if (request === null) return -1;
  return unlessMalformed(() => decodeTxnRequest(request).success.length) ?? -1;
}

/** Null for a malformed request: it was rejected, and was slow for another reason. */
function unlessMalformed<Result>(read: () => Result): Result | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** Formats a duration like Go: 1m1.5s, 2.195483ms, 618.782µs. */
export function goDuration(milliseconds: number): string {
  const short = (value: number, digits: number): string => String(Number(value.toFixed(digits)));
  if (milliseconds < 1) return `${short(milliseconds * 1_000, 3)}µs`;
  if (milliseconds < 1_000) return `${short(milliseconds, 6)}ms`;
  const minutes = Math.floor(milliseconds / 60_000);
  const seconds = `${short((milliseconds - minutes * 60_000) / 1_000, 9)}s`;
  return minutes === 0 ? seconds : `${minutes}m${seconds}`;
}
