/** Takes DER (X.690) apart where it is known to be sound: certificates that the platform has parsed already. */

/** What an element holds, without its tag and length. */
export function derContents(element: Uint8Array): Uint8Array {
  return element.subarray(headerLength(element));
}

/** The elements one after the other, each with its tag and length. @throws RangeError when one is cut off. */
export function derElements(contents: Uint8Array): Uint8Array[] {
  const elements: Uint8Array[] = [];
  for (let rest = contents; rest.length > 0; ) {
    const end = headerLength(rest) + contentLength(rest);
    if (end > rest.length) throw new RangeError("A DER element is longer than what holds it");
    elements.push(rest.subarray(0, end));
    rest = rest.subarray(end);
  }
  return elements;
}

/** A length below 128 is one byte; above, the first byte tells how many bytes of length follow. */
function headerLength(element: Uint8Array): number {
  const first = element[1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

function contentLength(element: Uint8Array): number {
  const first = element[1] ?? 0;
  if (first < 0x80) return first;
  return element.subarray(2, headerLength(element)).reduce((length, byte) => length * 256 + byte, 0);
}
