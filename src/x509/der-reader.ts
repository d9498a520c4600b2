/** Parses DER (X.690) strictly: incomplete input is rejected with the byte at which it ends. */

export type DerElement = {
  readonly tag: number;
  /** The whole element, with its tag and length. */
  readonly bytes: Buffer;
  readonly contents: Buffer;
};

/** A longer length exceeds the safe integers, and any file. */
const lengthBytesMax = 6;
/** BER's length of contents with an end marker; DER has none (X.690 §10.1). */
const indefiniteLength = 0x80;

/**
 * The consecutive elements in `bytes` (X.690 §8.1). A length below 128 is one byte; above that, the first byte is the
 * number of length bytes that follow. @throws RangeError when one is truncated or has no definite length
 */
export function derElements(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = [];
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < view.length; ) {
    const first = view[at + 1] ?? 0;
    if (first === indefiniteLength) throw new RangeError(`it has no definite length at byte ${at}`);
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + lengthBytes;
    if (lengthBytes > lengthBytesMax || start > view.length) throw new RangeError(`it is truncated at byte ${at}`);
    const end = start + (lengthBytes === 0 ? first : view.readUIntBE(at + 2, lengthBytes));
    if (end > view.length) throw new RangeError(`it is truncated at byte ${at}`);
    elements.push({ tag: view[at]!, bytes: view.subarray(at, end), contents: view.subarray(start, end) });
    at = end;
  }
  return elements;
}
