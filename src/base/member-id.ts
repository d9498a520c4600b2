/** Ids of members and clusters: 16 hexadecimal digits in text, as etcdctl prints them, and 64 bits without sign on the wire. */

/** The id as a number; 0 for an empty text. */
export function parseMemberId(id: string): bigint {
  return BigInt(`0x0${id}`);
}

/** Takes numbers with a sign as well: protobuf's int64 has one. */
export function formatMemberId(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, "0");
}
