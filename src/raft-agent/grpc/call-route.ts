/**
 * What a request's headers ask for, derived once per header block: the method, its deadline, its compression; or the
 * rejection. Texts follow grpc-go, whose clients print them.
 */

import { StatusCode } from "../api/status-code.ts";
import { encodeStateless } from "../http2/hpack-encoder.ts";
import type { RequestHead } from "../http2/request-head.ts";
import type { Method } from "./call.ts";
import type { MethodCounters } from "./method-counters.ts";
import { encodeStatusMessage } from "./status-message.ts";
import { parseTimeout } from "./timeout.ts";

export type MethodEntry = { readonly method: Method; readonly counters: MethodCounters };

export type CallRoute =
  | {
      readonly kind: "call";
      readonly entry: MethodEntry;
      /** undefined when the client set no deadline. */
      readonly timeoutMs: number | undefined;
      /** Messages with the compressed flag are gzip; otherwise such a message is an error. */
      readonly gzip: boolean;
    }
  /** Not gRPC: for the HTTP handler. */
  | { readonly kind: "http" }
  /** A header block that responds and ends the stream. */
  | { readonly kind: "rejection"; readonly block: Buffer };

/** Methods by path, and the names of their services. */
export type MethodTable = {
  readonly entries: ReadonlyMap<string, MethodEntry>;
  readonly services: ReadonlySet<string>;
};

/** `servesHttp`: there is a handler for requests that are not gRPC; as in etcd, the content-type decides. */
export function routeCall(table: MethodTable, head: RequestHead, servesHttp: boolean): CallRoute {
  const contentType = head.field("content-type") ?? "";
  if (servesHttp && !contentType.toLowerCase().startsWith("application/grpc")) return { kind: "http" };
  if (head.method !== "POST")
    return rejection(405, StatusCode.internal, `:method is ${quote(head.method)}, which should be POST`);
  if (!/^application\/grpc($|[+;])/.test(contentType.toLowerCase()))
    return rejection(415, StatusCode.invalidArgument, `invalid gRPC request content-type ${quote(contentType)}`);
  const timeout = head.field("grpc-timeout");
  const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
  if (timeout !== undefined && timeoutMs === undefined)
    return rejection(400, StatusCode.internal, `malformed grpc-timeout: ${quote(timeout)}`);
  const entry = table.entries.get(head.path);
  if (entry === undefined) return rejection(200, StatusCode.unimplemented, unknownMethodText(table, head.path));
  const encoding = head.field("grpc-encoding") ?? "identity";
  if (encoding !== "identity" && encoding !== "gzip") return unknownEncoding(encoding);
  return { kind: "call", entry, timeoutMs, gzip: encoding === "gzip" };
}

function unknownMethodText(table: MethodTable, path: string): string {
  const slash = path.lastIndexOf("/");
  if (slash < 1) return `malformed method name: ${quote(path)}`;
  const service = path.slice(1, slash);
  const method = path.slice(slash + 1);
  return table.services.has(service) ? `unknown method ${method} for service ${service}` : `unknown service ${service}`;
}

function unknownEncoding(encoding: string): CallRoute {
  const text = `grpc: Decompressor is not installed for grpc-encoding ${quote(encoding)}`;
  return rejection(200, StatusCode.unimplemented, text, [["grpc-accept-encoding", "identity,gzip"]]);
}

function rejection(
  httpStatus: number,
  code: StatusCode,
  message: string,
  more: readonly (readonly [string, string])[] = [],
): CallRoute {
  return { kind: "rejection", block: trailersOnlyBlock(httpStatus, code, message, more) };
}

/** Headers and trailers in one block (gRPC over HTTP/2, "Trailers-Only"). */
export function trailersOnlyBlock(
  httpStatus: number,
  code: StatusCode,
  message: string,
  more: readonly (readonly [string, string])[] = [],
): Buffer {
  return encodeStateless([
    [":status", String(httpStatus)],
    ["content-type", "application/grpc"],
    ...statusFields(code, message),
    ...more,
  ]);
}

/** Trailers after messages. */
export function trailersBlock(code: StatusCode, message: string): Buffer {
  return encodeStateless(statusFields(code, message));
}

function statusFields(code: StatusCode, message: string): (readonly [string, string])[] {
  if (message === "") return [["grpc-status", String(code)]];
  return [
    ["grpc-status", String(code)],
    ["grpc-message", encodeStatusMessage(message)],
  ];
}

/** Like Go's %q for text allowed in a header: quotes and backslashes are escaped. */
function quote(text: string): string {
  return JSON.stringify(text);
}
