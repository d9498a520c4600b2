/** Takes DER (X.690) apart, strictly: what is not whole is refused with the byte at which it breaks off. */

export type DerElement = {
  readonly tag: number;
  /** All of it, with its tag and length. */
  readonly bytes: Buffer;
  readonly contents: Buffer;
};

/** A length of more bytes is beyond what a number holds exactly, and beyond any file. */
const lengthBytesMax = 6;
/** BER's length of contents that end with a mark of their own; DER has none (X.690 §10.1). */
const indefiniteLength = 0x80;

/**
 * The elements that stand one after the other in `bytes` (X.690 §8.1). A length below 128 is one byte; above, the first
 * byte tells how many bytes of length follow.
 * @throws RangeError when one is cut off or has no definite length
 */
export function derElements(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = [];
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < view.length; ) {
    const first = view[at + 1] ?? 0;
    if (first === indefiniteLength) throw new RangeError(`it has no definite length at byte ${at}`);
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + lengthBytes;
    if (lengthBytes > lengthBytesMax || start > view.length) throw new RangeError(`it breaks off at byte ${at}`);
    const end = start + (lengthBytes === 0 ? first : view.readUIntBE(at + 2, lengthBytes));
    if (end > view.length) throw new RangeError(`it breaks off at byte ${at}`);
    elements.push({ tag: view[at]!, bytes: view.subarray(at, end), contents: view.subarray(start, end) });
    at = end;
  }
  return elements;
}
