/**
 * Encodes and decodes the messages of `proto/haplan/v1/haplan.proto`: the one codec of the agent, the tool and the
 * tests. The previous release supports JSON only. So an agent responds in the encoding of the request, and the first
 * caller detects which encodings the agent supports: see `requestEncoding`.
 */
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJsonString,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Haplan } from "./gen/haplan/v1/haplan_pb.ts";
import { WireError } from "./wire.ts";

export type HaplanEncoding = "protobuf" | "json";

/** An agent of this release supports both; remove "json" in the next one. */
export const haplanMethods: typeof Haplan.method = Haplan.method;

export function haplanPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** No protobuf message starts with this byte: it would start a group of field 15. */
const jsonStart = "{".charCodeAt(0);

/**
 * The encoding of a message. An empty one is the same message in both, and counts as protobuf; `Facts` accepts it, and
 * the response shows a client which encoding the agent supports.
 */
export function encodingOf(bytes: Uint8Array): HaplanEncoding {
  return bytes[0] === jsonStart ? "json" : "protobuf";
}

export function encodeHaplan<Schema extends DescMessage>(
  schema: Schema,
  message: MessageInitShape<Schema>,
  encoding: HaplanEncoding,
): Uint8Array {
  const whole = create(schema, message);
  return encoding === "protobuf" ? toBinary(schema, whole) : Buffer.from(JSON.stringify(whole, asPlainJson));
}

/**
 * Unknown fields are skipped; missing fields have their defaults. @throws WireError that names the message, and in
 * JSON the field.
 */
export function decodeHaplan<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  const encoding = encodingOf(bytes);
  try {
    if (encoding === "protobuf") return fromBinary(schema, bytes);
    return fromJsonString(schema, Buffer.from(bytes).toString("utf8"), { ignoreUnknownFields: true });
  } catch (error) {
    const what = encoding === "json" ? "JSON" : "protobuf";
    const reason = error instanceof Error ? error.message : String(error);
    throw new WireError(`the message is not a ${schema.typeName} in ${what}: ${reason}`);
  }
}

/** Numbers as numbers: the previous release reads no others. protobuf's own JSON has strings for those of 64 bits. */
function asPlainJson(key: string, value: unknown): unknown {
  if (key === "$typeName" || key === "$unknown") return undefined;
  return typeof value === "bigint" ? Number(value) : value;
}
