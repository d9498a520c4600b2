/** CRC-32C (Castagnoli), the checksum of etcd's HashKV, four bytes at a time. */
const polynomial = 0x82f63b78;
const tables = makeTables();

function makeTables(): Uint32Array[] {
  const first = new Uint32Array(256).map((_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
  const all = [first];
  for (let n = 1; n < 4; n++) all.push(all[n - 1]!.map((crc) => (crc >>> 8) ^ first[crc & 0xff]!));
  return all;
}

/** The checksum of what gave `crc` followed by `bytes`; begin with 0. */
export function crc32c(bytes: Uint8Array, crc = 0, length: number = bytes.length): number {
  const [t0, t1, t2, t3] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let value = ~crc;
  let i = 0;
  for (const last = length - 3; i < last; i += 4) {
    value ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    value = t3[value & 0xff]! ^ t2[(value >>> 8) & 0xff]! ^ t1[(value >>> 16) & 0xff]! ^ t0[value >>> 24]!;
  }
  for (; i < length; i++) value = (value >>> 8) ^ t0[(value ^ bytes[i]!) & 0xff]!;
  return ~value >>> 0;
}
