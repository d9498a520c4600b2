/**
 * gRPC by hand over Node's own HTTP/2 client: bytes in frames of every size, headers that libraries do not send,
 * invalid calls. Our member must respond as an etcd 3.7 does, which runs beside it once it is built.
 */
import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from "node:http2";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findEtcdProgram } from "./etcd-programs.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.61.4";
const etcd = await findEtcdProgram("3.7", "etcd");

type Call = {
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Each is written as a DATA frame of its own. */
  readonly pieces: readonly Uint8Array[];
  /** Our response where an etcd's differs. */
  readonly ours?: Partial<Answer>;
};

type Answer = {
  readonly status: unknown;
  readonly contentType: unknown;
  readonly grpcStatus: unknown;
  readonly message: unknown;
  /** The messages, without the contents of their headers: the numbers of cluster, member, term. */
  readonly messages: readonly string[];
};

/** A field whose value is bytes. */
function field(number: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([...varint((number << 3) | 2), ...varint(bytes.length)]), bytes]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

/** A message with its five bytes in front. */
function framed(message: Uint8Array, isCompressed = false): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = isCompressed ? 1 : 0;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function cutInto(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}

const put = (key: string, value: string): Buffer => Buffer.concat([field(1, key), field(2, value)]);
const putPath = "/etcdserverpb.KV/Put";
const rangePath = "/etcdserverpb.KV/Range";

const calls: Readonly<Record<string, Call>> = {
  "a put": { path: putPath, pieces: [framed(put("raw", "1"))] },
  "a put in frames of one byte": { path: putPath, pieces: cutInto(framed(put("raw", "in pieces")), 1) },
  "a range": { path: rangePath, pieces: [framed(field(1, "raw"))] },
  "an unknown field": { path: rangePath, pieces: [framed(Buffer.concat([field(1, "raw"), field(90, "later")]))] },
  "fields in another order": { path: putPath, pieces: [framed(Buffer.concat([field(2, "2"), field(1, "raw")]))] },
  "a field twice": { path: putPath, pieces: [framed(Buffer.concat([put("no", "1"), field(1, "raw")]))] },
  "an empty message": { path: "/etcdserverpb.Lease/LeaseLeases", pieces: [framed(Buffer.alloc(0))] },
  "no message": { path: rangePath, pieces: [], ours: { grpcStatus: "13" } },
  "half a prefix": { path: rangePath, pieces: [Buffer.from([0, 0, 0])], ours: { grpcStatus: "13" } },
  "half a message": { path: rangePath, pieces: [framed(field(1, "raw")).subarray(0, 8)], ours: { grpcStatus: "13" } },
  "bytes that are no message": { path: rangePath, pieces: [framed(Buffer.from([0x0a, 0xff, 0x01, 0x02]))] },
  "a wrong wire type": { path: rangePath, pieces: [framed(Buffer.from([0x08, 0x01]))], ours: { grpcStatus: "13" } },
  "an unknown method": { path: "/etcdserverpb.KV/Nothing", pieces: [framed(Buffer.alloc(0))] },
  "an unknown service": { path: "/nothing.Here/Put", pieces: [framed(Buffer.alloc(0))] },
  "a path without a method": { path: "/etcdserverpb.KV", pieces: [framed(Buffer.alloc(0))] },
  "a long timeout": { path: rangePath, headers: { "grpc-timeout": "10S" }, pieces: [framed(field(1, "raw"))] },
  "a timeout that is none": {
    path: rangePath,
    headers: { "grpc-timeout": "soon" },
    pieces: [framed(field(1, "raw"))],
    ours: { status: 400, grpcStatus: "13" },
  },
  "another subtype": {
    path: rangePath,
    headers: { "content-type": "application/grpc+proto" },
    pieces: [framed(field(1, "raw"))],
    ours: { contentType: "application/grpc", grpcStatus: "0" },
  },
  "headers of a user": {
    path: rangePath,
    headers: { "user-agent": "by-hand/1", "x-request-id": "7", "trace-bin": "AAE=" },
    pieces: [framed(field(1, "raw"))],
  },
  "an unknown compression": {
    path: rangePath,
    headers: { "grpc-encoding": "zstd" },
    pieces: [framed(field(1, "raw"), true)],
  },
  "a compressed message without a name": { path: rangePath, pieces: [framed(gzipSync(field(1, "raw")), true)] },
  "a name of a compression that is not used": {
    path: rangePath,
    headers: { "grpc-encoding": "gzip" },
    pieces: [framed(field(1, "raw"))],
  },
  "a compressed message": {
    path: rangePath,
    headers: { "grpc-encoding": "gzip" },
    pieces: [framed(gzipSync(field(1, "raw")), true)],
  },
  "a message of 2 MB": { path: putPath, pieces: cutInto(framed(put("raw", "x".repeat(2_000_000))), 16_000) },
  "a rejected request": { path: putPath, pieces: [framed(put("", "1"))] },
};

/** Fields of a message but for the first one, which is the header of every answer. */
function withoutHeader(message: Buffer): string {
  if (message[0] !== 0x0a) return message.toString("latin1");
  return message.subarray(2 + message[1]!).toString("latin1");
}

function ask(session: ClientHttp2Session, { path, headers, pieces }: Call): Promise<Answer> {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  for (const piece of pieces) stream.write(piece);
  stream.end();
  return new Promise((resolve, reject) => {
    const seen: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    stream.on("response", (headers) => Object.assign(seen, headers));
    stream.on("trailers", (headers) => Object.assign(seen, headers));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => {
      const messages: string[] = [];
      for (let rest = Buffer.concat(chunks); rest.length > 0; ) {
        const end = 5 + rest.readUInt32BE(1);
        const message = rest.subarray(5, end);
        messages.push(withoutHeader(rest[0] === 1 ? gunzipSync(message) : message));
        rest = rest.subarray(end);
      }
      const [status, contentType] = [seen[":status"], seen["content-type"]];
      // Each decoder describes what is wrong with the bytes in its own words.
      const message = String(seen["grpc-message"] ?? "").replace(/(unmarshalling request: ).*/, "$1...");
      resolve({ status, contentType, grpcStatus: seen["grpc-status"], message, messages });
    });
  });
}

describe("gRPC by hand", () => {
  const clusters: ClusterProcesses[] = [];
  const sessions: ClientHttp2Session[] = [];
  beforeAll(async () => {
    const starting = [startCluster("agent", host, { members: 1 })];
    if ("path" in etcd) starting.push(startCluster("etcd", host, { members: 1, etcdProgram: etcd.path }));
    clusters.push(...(await Promise.all(starting)));
    sessions.push(...clusters.map(({ urls }) => connect(urls[0]!)));
  });
  afterAll(async () => {
    for (const session of sessions) session.close();
    await Promise.all(clusters.map((cluster) => cluster.stop()));
  });

  it.each(Object.entries(calls))("gets the response of an etcd, or the listed one: %s", async (_, call) => {
    const [ours, theirs] = await Promise.all(sessions.map((session) => ask(session, call)));
    expect(ours).toMatchObject({ grpcStatus: expect.stringMatching(/^\d+$/), ...call.ours });
    if (theirs === undefined) return;
    if (call.ours === undefined) expect(ours).toEqual(theirs);
    else expect(ours, "is listed as different, and is not").not.toEqual(theirs);
  });
});
