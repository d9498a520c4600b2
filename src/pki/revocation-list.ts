/** Reads which certificates a revocation list names: an X.509 CRL (RFC 5280 §5.1), in PEM or DER. */
import { errorText, HaplanError } from "../base/haplan-error.ts";

const tag = { integer: 0x02, sequence: 0x30, utcTime: 0x17, generalizedTime: 0x18 } as const;

/**
 * Serial numbers in lower-case hex without leading zeros. The signature is not checked: who can write the file can
 * also name another one.
 * @throws HaplanError `pki/bad-revocation-list` naming `source`.
 */
export function revokedSerialNumbers(bytes: Uint8Array, source: string): ReadonlySet<string> {
  try {
    const [list] = readItems(toDer(bytes));
    const [signed] = readItems(expect(list, tag.sequence));
    const [revoked] = readItems(expect(signed, tag.sequence)).filter(isRevokedList);
    const entries = revoked === undefined ? [] : readItems(revoked.content);
    return new Set(entries.map((entry) => serialOf(readItems(expect(entry, tag.sequence))[0])));
  } catch (cause) {
    throw new HaplanError(
      "pki/bad-revocation-list",
      `Cannot use "${source}": ${errorText(cause)}; expected an X.509 revocation list in PEM or DER`,
      { cause },
    );
  }
}

type Item = { readonly tag: number; readonly content: Buffer };

function toDer(bytes: Uint8Array): Buffer {
  const text = Buffer.from(bytes).toString("latin1");
  const pem = /-----BEGIN X509 CRL-----([\s\S]*?)-----END X509 CRL-----/.exec(text);
  return pem === null ? Buffer.from(bytes) : Buffer.from(pem[1]!, "base64");
}

/** What is revoked follows the times; without anything, extensions (no sequence) or nothing do. */
function isRevokedList(item: Item, at: number, items: readonly Item[]): boolean {
  const before = items[at - 1]?.tag;
  return item.tag === tag.sequence && (before === tag.utcTime || before === tag.generalizedTime);
}

function serialOf(item: Item | undefined): string {
  return BigInt(`0x${expect(item, tag.integer).toString("hex")}`).toString(16);
}

function expect(item: Item | undefined, wanted: number): Buffer {
  if (item?.tag !== wanted) throw new Error(`it has no tag ${wanted} where one belongs`);
  return item.content;
}

/** The values that stand one after the other in `bytes` (X.690 §8.1). */
function readItems(bytes: Buffer): Item[] {
  const items: Item[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + lengthBytes;
    if (lengthBytes > 6 || start > bytes.length) throw new Error(`it breaks off at byte ${at}`);
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
    if (start + length > bytes.length) throw new Error(`it breaks off at byte ${at}`);
    items.push({ tag: bytes[at]!, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return items;
}
