/** etcdserverpb.ResponseHeader: the responding member, and the revision. */
import { decodeMessage, emptyBytes, encodeMessage, type WireReader, WireWriter } from "./wire.ts";

export type ResponseHeader = {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** 0 in responses that carry no revision (cluster, some watch responses). */
  readonly revision: number;
  readonly raftTerm: number;
};

export function readResponseHeader(reader: WireReader, end: number): ResponseHeader {
  let clusterId = 0n;
  let memberId = 0n;
  let revision = 0;
  let raftTerm = 0;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x08) clusterId = reader.bigUint64();
    else if (tag === 0x10) memberId = reader.bigUint64();
    else if (tag === 0x18) revision = reader.int64();
    else if (tag === 0x20) raftTerm = reader.uint64();
    else reader.skip(tag, 4);
  }
  reader.finish(end);
  return { clusterId, memberId, revision, raftTerm };
}

// A member's two ids are the same in all its responses, and encoding a bigint is expensive: cache the last pair.
const identity = { clusterId: 0n, memberId: 0n, bytes: emptyBytes };

export function writeResponseHeader(writer: WireWriter, header: ResponseHeader): void {
  if (header.clusterId !== identity.clusterId || header.memberId !== identity.memberId) {
    const encoded = new WireWriter(32);
    encoded.bigIntUnlessZero(0x08, header.clusterId);
    encoded.bigIntUnlessZero(0x10, header.memberId);
    identity.clusterId = header.clusterId;
    identity.memberId = header.memberId;
    identity.bytes = encoded.copy();
  }
  writer.raw(identity.bytes);
  writer.intUnlessZero(0x18, header.revision);
  writer.intUnlessZero(0x20, header.raftTerm);
}

/** Writes a header as field 1, where every response has it; an absent one is omitted. */
export function writeHeaderField(writer: WireWriter, header: ResponseHeader | undefined): void {
  if (header === undefined) return;
  const start = writer.beginNested(0x0a);
  writeResponseHeader(writer, header);
  writer.endNested(start);
}

export function encodeResponseHeader(header: ResponseHeader): Uint8Array {
  return encodeMessage(writeResponseHeader, header);
}

export function decodeResponseHeader(bytes: Uint8Array): ResponseHeader {
  return decodeMessage(readResponseHeader, bytes);
}
