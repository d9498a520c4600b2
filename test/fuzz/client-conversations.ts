/**
 * The conversations of a client on the client port, valid and invalid: gRPC calls of every service in HTTP/2 frames,
 * and HTTP/1.1 requests to the gateway and the operational endpoints. Calls that change membership or permissions are
 * left out: the well-behaved client that checks the member afterwards could not distinguish damage from a valid
 * change.
 */
import { type DescMethod, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { Random } from "../../src/base/random.ts";
import { Auth, Cluster, KV, Lease, Maintenance, Watch } from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { Health } from "../../src/raft-agent/api/gen/health/health_pb.ts";
import { Election } from "../../src/raft-agent/api/gen/v3electionpb/v3election_pb.ts";
import { Lock } from "../../src/raft-agent/api/gen/v3lockpb/v3lock_pb.ts";
import { createJsonRoutes } from "../../src/raft-agent/gateway/json-routes.ts";
import { clientPreface, FrameType, goawayFrame, pingFrame, settingsFrame } from "../../src/raft-agent/http2/frame.ts";
import { encodeStateless } from "../../src/raft-agent/http2/hpack-encoder.ts";
import { anyFrame } from "../support/raw-client.ts";
import { chance, mutateBytes, mutatePieces, pick, randomBytes } from "./mutate.ts";
import { randomMessage } from "./random-message.ts";

export type Conversation = {
  /** The ALPN protocols to offer; empty for none. */
  readonly alpn: readonly string[];
  /** Sent one after the other, whatever the server responds. */
  readonly pieces: readonly Buffer[];
  /** The number of requests in it before it was mutated. */
  readonly requests: number;
};

const leftOut = new Set([
  "AuthEnable",
  "Alarm",
  "Downgrade",
  "MemberAdd",
  "MemberRemove",
  "MemberUpdate",
  "MemberPromote",
]);
const methods: readonly DescMethod[] = [KV, KV, KV, Watch, Lease, Cluster, Maintenance, Auth, Lock, Election, Health]
  .flatMap((service) => service.methods)
  .filter(({ name }) => !leftOut.has(name));
const routes = [...createJsonRoutes()].filter(([, { name }]) => !leftOut.has(name));
const maxFrameBytes = 16_384;

export function clientConversation(random: Random): Conversation {
  if (chance(random, 12)) return { alpn: pick(random, [["h2"], []]), pieces: [randomBytes(random, 400)], requests: 0 };
  return chance(random, 3) ? http1Conversation(random) : http2Conversation(random);
}

function http2Conversation(random: Random): Conversation {
  const requests = 1 + random.below(6);
  let frames: Buffer[] = [];
  for (let at = 0; at < requests; at++) {
    frames.push(...(chance(random, 8) ? plainRequest(random, 2 * at + 1) : grpcCall(random, 2 * at + 1)));
    if (chance(random, 3)) frames.push(strayFrame(random, 2 * random.below(requests) + 1));
  }
  // A third is left unmodified: well-formed input reaches further.
  for (let times = random.below(3); times > 0; times--) frames = mutatePieces(random, frames);
  const opening = Buffer.concat([clientPreface, settingsFrame(chance(random, 3) ? randomSettings(random) : [])]);
  const spoiltOpening = chance(random, 15) ? mutateBytes(random, opening) : opening;
  return { alpn: ["h2"], pieces: [spoiltOpening, ...frames], requests };
}

function grpcCall(random: Random, streamId: number): Buffer[] {
  const method = pick(random, methods);
  const path = `/${method.parent.typeName}/${method.name}`;
  const fields: [string, string][] = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", chance(random, 30) ? `${path}${randomBytes(random, 4).toString("latin1")}` : path],
    [":authority", "member"],
    [
      "content-type",
      pick(random, ["application/grpc", "application/grpc+proto", "application/grpc-web", "text/plain"]),
    ],
    ["te", "trailers"],
  ];
  if (chance(random, 4)) fields.push(["grpc-timeout", pick(random, ["1S", "5m", "0n", "99999999H", "-1S", "1", "x"])]);
  if (chance(random, 6)) fields.push(["grpc-encoding", pick(random, ["gzip", "identity", "snappy"])]);
  if (chance(random, 6)) fields.push(["token", "no.1"], ["hasleader", "true"]);
  const count = method.methodKind === "unary" ? 1 : random.below(4);
  const messages = Array.from({ length: count }, () => framedMessage(random, method));
  return [
    ...headersFrames(random, streamId, encodeStateless(fields), count === 0 && chance(random, 2)),
    ...dataFrames(random, streamId, Buffer.concat(messages), !chance(random, 5)),
  ];
}

function framedMessage(random: Random, method: DescMethod): Buffer {
  const bytes = toBinary(method.input, randomMessage(random, method.input));
  const body = chance(random, 3) ? mutateBytes(random, bytes) : Buffer.from(bytes);
  const prefix = Buffer.alloc(5);
  prefix[0] = chance(random, 15) ? random.below(256) : 0;
  prefix.writeUInt32BE(chance(random, 20) ? random.below(2 ** 32) : body.length, 1);
  return Buffer.concat([prefix, body]);
}

function headersFrames(random: Random, streamId: number, block: Buffer, endStream: boolean): Buffer[] {
  const bytes = chance(random, 6) ? mutateBytes(random, block) : block;
  const flags = endStream ? 1 : 0;
  if (!chance(random, 6)) return [anyFrame(FrameType.headers, flags | 4, streamId, bytes)];
  const cut = random.below(bytes.length + 1);
  return [
    anyFrame(FrameType.headers, flags, streamId, bytes.subarray(0, cut)),
    anyFrame(FrameType.continuation, 4, streamId, bytes.subarray(cut)),
  ];
}

function dataFrames(random: Random, streamId: number, body: Buffer, endStream: boolean): Buffer[] {
  const frames: Buffer[] = [];
  const size = chance(random, 4) ? 1 + random.below(40) : maxFrameBytes;
  const step = Math.max(size, Math.ceil(body.length / 30));
  for (let at = 0; at < body.length || at === 0; at += Math.min(step, maxFrameBytes)) {
    const last = at + Math.min(step, maxFrameBytes) >= body.length;
    const part = body.subarray(at, at + Math.min(step, maxFrameBytes));
    frames.push(anyFrame(FrameType.data, last && endStream ? 1 : 0, streamId, part));
  }
  return frames;
}

/** HTTP/2 that is not gRPC goes to the same handler as HTTP/1.1. */
function plainRequest(random: Random, streamId: number): Buffer[] {
  const { path, method, body } = httpRequest(random);
  const block = encodeStateless([
    [":method", method],
    [":scheme", "http"],
    [":path", path],
    [":authority", "member"],
    ["content-type", "application/json"],
  ]);
  return [
    ...headersFrames(random, streamId, block, body.length === 0),
    ...(body.length === 0 ? [] : dataFrames(random, streamId, body, true)),
  ];
}

function strayFrame(random: Random, streamId: number): Buffer {
  const word = (): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(pick(random, [0, 1, 65_535, 2 ** 31 - 1, 2 ** 31, random.below(2 ** 32)]));
    return bytes;
  };
  switch (random.below(8)) {
    case 0:
      return anyFrame(FrameType.rstStream, 0, streamId, word());
    case 1:
      return anyFrame(FrameType.windowUpdate, 0, chance(random, 2) ? 0 : streamId, word());
    case 2:
      return settingsFrame(randomSettings(random));
    case 3:
      return pingFrame(randomBytes(random, 8), chance(random, 2));
    case 4:
      return goawayFrame(streamId, random.below(20), "stray");
    case 5:
      return anyFrame(FrameType.headers, random.below(64), streamId, randomBytes(random, 60));
    case 6:
      return anyFrame(FrameType.data, random.below(16), streamId, randomBytes(random, 60));
    default:
      return anyFrame(random.below(14), random.below(256), random.below(12), randomBytes(random, 30));
  }
}

function randomSettings(random: Random): [number, number][] {
  const value = (): number => pick(random, [0, 1, 16_384, 65_535, 2 ** 24 - 1, 2 ** 31 - 1, 2 ** 32 - 1]);
  return Array.from({ length: random.below(4) }, () => [random.below(9), value()]);
}

function http1Conversation(random: Random): Conversation {
  const requests = 1 + random.below(4);
  let pieces = Array.from({ length: requests }, () => http1Request(random));
  for (let times = random.below(3); times > 0; times--) pieces = mutatePieces(random, pieces);
  return { alpn: pick(random, [["http/1.1"], []]), pieces, requests };
}

function httpRequest(random: Random): { path: string; method: string; body: Buffer } {
  if (chance(random, 3)) {
    const operations = ["/health", "/health?serializable=true", "/livez", "/readyz?verbose", "/version", "/metrics"];
    const odd = ["/", "//", "/readyz/none", "/v3/none", "/%00", "*", "http://other/health", "/health?exclude=NOSPACE"];
    return {
      path: pick(random, [...operations, ...odd]),
      method: pick(random, ["GET", "HEAD", "PUT"]),
      body: Buffer.of(),
    };
  }
  const [path, { input }] = pick(random, routes);
  const text = Buffer.from(toJsonString(input, randomMessage(random, input)));
  const body = chance(random, 3) ? mutateBytes(random, text) : text;
  return { path, method: chance(random, 10) ? "GET" : "POST", body };
}

function http1Request(random: Random): Buffer {
  const { path, method, body } = httpRequest(random);
  const lines = [`${method} ${path} HTTP/1.1`, "Host: member"];
  if (chance(random, 10)) lines.push("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: YQ==");
  if (chance(random, 10)) lines.push("Expect: 100-continue");
  if (chance(random, 10)) lines.push(`X-${"a".repeat(random.below(20))}: ${"b".repeat(random.below(20_000))}`);
  if (chance(random, 4)) {
    const head = Buffer.from(`${[...lines, "Transfer-Encoding: chunked"].join("\r\n")}\r\n\r\n`, "latin1");
    const size = Buffer.from(`${body.length.toString(16)}\r\n`);
    return Buffer.concat([
      head,
      ...(body.length === 0 ? [] : [size, body, Buffer.from("\r\n")]),
      Buffer.from("0\r\n\r\n"),
    ]);
  }
  const length = chance(random, 10) ? random.below(100_000) : body.length;
  lines.push("Content-Type: application/json", `Content-Length: ${length}`);
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body]);
}
