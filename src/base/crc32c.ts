/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720 §B.4), eight bytes per step ("slicing by 8": Kounavis
 * and Berry, 2005). It finds every burst of up to 32 bits and, at our lengths, every flip of one, two or three bits.
 */
const tables: Int32Array = makeTables();

function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1;
    made[byte] = remainder;
  }
  for (let at = 256; at < made.length; at++) {
    const previous = made[at - 256]!;
    made[at] = (previous >>> 8) ^ made[previous & 0xff]!;
  }
  return made;
}

/**
 * The checksum of `bytes[start, end)` as an unsigned 32-bit number. `previous` is the checksum of what came before:
 * `crc32c(b, 0, b.length, crc32c(a))` is the checksum of a followed by b.
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length, previous = 0): number {
  const table = tables;
  let crc = ~previous;
  let at = start;
  for (const last = end - 7; at < last; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      table[0x700 | (crc & 0xff)]! ^
      table[0x600 | ((crc >>> 8) & 0xff)]! ^
      table[0x500 | ((crc >>> 16) & 0xff)]! ^
      table[0x400 | (crc >>> 24)]! ^
      table[0x300 | bytes[at + 4]!]! ^
      table[0x200 | bytes[at + 5]!]! ^
      table[0x100 | bytes[at + 6]!]! ^
      table[bytes[at + 7]!]!;
  }
  for (; at < end; at++) crc = table[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The checksum of the data that gave `previous`, followed by the first `length` bytes of `bytes`. */
export function extendCrc32c(previous: number, bytes: Uint8Array, length: number = bytes.length): number {
  return crc32c(bytes, 0, length, previous);
}
