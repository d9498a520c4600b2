/** Key order and etcd's notation of a range: the end is empty, one zero byte, or exclusive. */

/** Byte order; negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** True when `rangeEnd` means "to the last key". */
export function isOpenEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}

/** True when a range (with a non-empty end) cannot contain a key. */
export function isEmptyRange(key: Uint8Array, rangeEnd: Uint8Array): boolean {
  return !isOpenEnd(rangeEnd) && compareBytes(key, rangeEnd) >= 0;
}
