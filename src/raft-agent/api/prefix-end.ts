/** The range end with which `prefix` selects all keys that start with it: the first key after them, or a zero byte. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let last = prefix.length - 1; last >= 0; last--) {
    if (prefix[last] === 0xff) continue;
    // Not `slice`: a Buffer's shares its bytes.
    const end = Uint8Array.from(prefix.subarray(0, last + 1));
    end[last]!++;
    return end;
  }
  return new Uint8Array(1);
}
