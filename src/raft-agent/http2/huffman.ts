/**
 * HPACK's Huffman code (RFC 7541 §5.2, appendix B). The code is canonical: shorter codes first and, at equal length,
 * by symbol; so the lengths alone define it. Decoding walks a state machine a nibble at a time, built once at load.
 */

/** Code length in bits for symbols 0..255 and, last, EOS (256). */
// biome-ignore format: sixteen symbols a row, as in the appendix
const codeLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const endOfString = 256;

/** Code words, right-aligned, by symbol; with `codeLengths` sufficient for an encoder. */
const codes: Uint32Array = assignCodes();

/** A step of the state machine: the next state, and the symbol it completes or -1. State -1 means an invalid string. */
const nextState = new Int16Array(256 * 16);
const completed = new Int16Array(256 * 16).fill(-1);
/** States in which a string may end: at most seven one-bits of padding after the last symbol. */
const mayEnd = new Uint8Array(256);
buildMachine();

function assignCodes(): Uint32Array {
  const assigned = new Uint32Array(257);
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol <= endOfString; symbol++) if (codeLengths[symbol] === length) assigned[symbol] = code++;
    code *= 2;
  }
  return assigned;
}

/** A node is its index; children hold another node, or -2 - symbol for a leaf. */
function buildTree(): Int16Array {
  const children = new Int16Array(256 * 2).fill(-1);
  let nodes = 1;
  for (let symbol = 0; symbol <= endOfString; symbol++) {
    let node = 0;
    for (let bit = codeLengths[symbol]! - 1; bit >= 0; bit--) {
      const branch = node * 2 + ((codes[symbol]! >>> bit) & 1);
      if (bit === 0) children[branch] = -2 - symbol;
      else {
        if (children[branch] === -1) children[branch] = nodes++;
        node = children[branch]!;
      }
    }
  }
  return children;
}

function buildMachine(): void {
  const children = buildTree();
  for (let state = 0; state < 256; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      const step = state * 16 + nibble;
      let node = state;
      for (let bit = 3; bit >= 0 && node >= 0; bit--) {
        const child = children[node * 2 + ((nibble >>> bit) & 1)]!;
        if (child >= 0) node = child;
        else if (child === -2 - endOfString) node = -1;
        else {
          completed[step] = -2 - child;
          node = 0;
        }
      }
      nextState[step] = node;
    }
  }
  for (let node = 0, padding = 0; padding <= 7; padding++) {
    mayEnd[node] = 1;
    node = children[node * 2 + 1]!;
  }
}

/** The maximum decoded length of a Huffman-coded string of `length` bytes (the shortest code has 5 bits). */
export function huffmanDecodedBytesMax(length: number): number {
  return Math.ceil((length * 8) / 5);
}

/**
 * Decodes `source[start, end)` into `target`, which must hold `huffmanDecodedBytesMax` bytes. Returns the number of
 * bytes, or -1 for a string that contains EOS or is padded incorrectly (RFC 7541 §5.2).
 */
export function huffmanDecode(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0;
  let written = 0;
  for (let at = start; at < end; at++) {
    const byte = source[at]!;
    let step = state * 16 + (byte >>> 4);
    if (completed[step]! >= 0) target[written++] = completed[step]!;
    state = nextState[step]!;
    if (state < 0) return -1;
    step = state * 16 + (byte & 15);
    if (completed[step]! >= 0) target[written++] = completed[step]!;
    state = nextState[step]!;
    if (state < 0) return -1;
  }
  return mayEnd[state] === 1 ? written : -1;
}

/** Encodes bytes; the last byte is padded with ones. Used by our clients and by tests, not on the hot path. */
export function huffmanEncode(source: Uint8Array): Buffer {
  const encoded: number[] = [];
  let pending = 0n;
  let bits = 0n;
  for (const symbol of source) {
    pending = (pending << BigInt(codeLengths[symbol]!)) | BigInt(codes[symbol]!);
    bits += BigInt(codeLengths[symbol]!);
    while (bits >= 8n) {
      bits -= 8n;
      encoded.push(Number((pending >> bits) & 0xffn));
    }
    pending &= (1n << bits) - 1n;
  }
  if (bits > 0n) encoded.push(Number(((pending << (8n - bits)) | ((1n << (8n - bits)) - 1n)) & 0xffn));
  return Buffer.from(encoded);
}
