/** gRPC calls with one message each way to one endpoint, over node:http2. Connects when asked, and again when needed. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { TlsMaterial } from "../apply/ports.ts";
import { errorText } from "../base/haplan-error.ts";
import { StatusCode } from "../raft-agent/grpc/call.ts";
import { CallError, type MemberChannel } from "./member-calls.ts";

const responseBytesMax = 64 * 1024 * 1024;
/** Compression flag and length before each message (grpc.io, "gRPC over HTTP2"). */
const prefixBytes = 5;

export function openMemberChannel(endpoint: string, tls: TlsMaterial | null): MemberChannel {
  let session: ClientHttp2Session | null = null;

  function connected(): ClientHttp2Session {
    if (session !== null && !session.closed && !session.destroyed) return session;
    const identity = tls === null ? {} : { ca: tls.caPem, cert: tls.certificatePem, key: tls.keyPem };
    const opened = connect(endpoint, identity);
    // Streams report what went wrong; nobody else needs to hear it. A session never keeps the process alive by itself.
    opened.on("error", () => undefined);
    opened.on("goaway", () => retire(opened));
    opened.on("close", () => retire(opened));
    opened.unref();
    session = opened;
    return opened;
  }

  /** Lets calls under way finish; later ones get a new connection. */
  function retire(old: ClientHttp2Session): void {
    if (session === old) session = null;
    if (!old.closed) old.close();
  }

  return {
    unary: async (path, request, timeoutMs) => {
      const used = connected();
      try {
        return await unaryCall(used, path, request, timeoutMs);
      } catch (error) {
        // Whoever is silent may have vanished without a word: the next call tries a fresh connection.
        if (error instanceof CallError && error.code === StatusCode.deadlineExceeded) retire(used);
        throw error;
      }
    },
    close: () => session?.destroy(),
  };
}

function unaryCall(
  session: ClientHttp2Session,
  path: string,
  request: Uint8Array,
  timeoutMs: number,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": `${Math.max(1, Math.ceil(timeoutMs))}m`,
    });
    const deadline = setTimeout(() => {
      fail(new CallError(StatusCode.deadlineExceeded, `no answer within ${Math.round(timeoutMs)} ms`, false));
    }, timeoutMs);
    const chunks: Buffer[] = [];
    let received = 0;
    let headers: Readonly<Record<string, unknown>> = {};
    const fail = (error: CallError): void => {
      clearTimeout(deadline);
      stream.close(constants.NGHTTP2_CANCEL);
      reject(error);
    };
    stream.on("response", (response) => (headers = response));
    // The status comes in trailers, or already in the headers when there is no message.
    stream.on("trailers", (trailers) => (headers = { ...headers, ...trailers }));
    stream.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (received > responseBytesMax)
        fail(new CallError(StatusCode.resourceExhausted, "the answer is too long", true));
      else chunks.push(chunk);
    });
    stream.on("error", (error) => fail(new CallError(StatusCode.unavailable, errorText(error), false)));
    stream.on("close", () => {
      clearTimeout(deadline);
      const failure = statusOf(stream, headers);
      if (failure !== null) reject(failure);
      else resolve(messageOf(Buffer.concat(chunks)));
    });
    stream.end(framed(request));
  });
}

function statusOf(stream: ClientHttp2Stream, headers: Readonly<Record<string, unknown>>): CallError | null {
  const status = headers["grpc-status"];
  if (status === undefined) {
    const http = headers[constants.HTTP2_HEADER_STATUS];
    const reason = http === undefined ? `the connection was lost (${stream.rstCode})` : `it answered HTTP ${http}`;
    return new CallError(StatusCode.unavailable, reason, false);
  }
  const code = Number(status);
  if (code === StatusCode.ok) return null;
  return new CallError(code, decodeURIComponent(String(headers["grpc-message"] ?? "")), true);
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, prefixBytes);
  return frame;
}

/** The first message; an answer without one is an empty message. */
function messageOf(body: Buffer): Uint8Array {
  if (body.length < prefixBytes) return new Uint8Array(0);
  return body.subarray(prefixBytes, prefixBytes + body.readUInt32BE(1));
}
