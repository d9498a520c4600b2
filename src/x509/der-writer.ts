/**
 * Writes DER (ITU-T X.690), to the extent that an X.509 certificate needs it. Every function returns one complete
 * tag-length-value; values are nested by passing results on.
 */

function tagged(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), encodeLength(body.length), body]);
}

/** Lengths below 128 take one byte; longer ones are preceded by the count of their bytes (X.690 §8.1.3). */
function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export function derSequence(...items: readonly Uint8Array[]): Buffer {
  return tagged(0x30, ...items);
}

export function derSet(...items: readonly Uint8Array[]): Buffer {
  return tagged(0x31, ...items);
}

/** An unsigned integer, most significant byte first; leading zeros are dropped and the sign bit is kept clear. */
export function derInteger(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const digits = Buffer.from(magnitude.subarray(start));
  return (digits[0] ?? 0) >= 0x80 ? tagged(0x02, Buffer.of(0), digits) : tagged(0x02, digits);
}

export function derBoolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.of(value ? 0xff : 0));
}

export function derOctetString(content: Uint8Array): Buffer {
  return tagged(0x04, content);
}

/** `unusedBits` is the number of bits at the end that do not count. */
export function derBitString(content: Uint8Array, unusedBits = 0): Buffer {
  return tagged(0x03, Buffer.of(unusedBits), content);
}

export function derUtf8String(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text, "utf8"));
}

/** `dotted` is an object identifier such as `2.5.4.3`. */
export function derObjectIdentifier(dotted: string): Buffer {
  const arcs = dotted.split(".").map(Number);
  const [first = 0, second = 0, ...rest] = arcs;
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(encodeArc)]));
}

function encodeArc(arc: number): number[] {
  const bytes = [arc & 0x7f];
  for (let rest = arc >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** UTCTime up to the year 2049 and GeneralizedTime from then on, as required by RFC 5280 §4.1.2.5; whole seconds. */
export function derTime(instant: Date): Buffer {
  const digits = `${instant.toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
  return instant.getUTCFullYear() < 2050
    ? tagged(0x17, Buffer.from(digits.slice(2), "ascii"))
    : tagged(0x18, Buffer.from(digits, "ascii"));
}

/** A context-specific tag around whole values (EXPLICIT). */
export function derExplicit(number: number, content: Uint8Array): Buffer {
  return tagged(0xa0 | number, content);
}

/** A context-specific tag instead of a primitive value's own (IMPLICIT). */
export function derImplicit(number: number, content: Uint8Array): Buffer {
  return tagged(0x80 | number, content);
}
