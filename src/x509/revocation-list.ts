/** Reads the certificates revoked by a revocation list: an X.509 CRL (RFC 5280 §5.1), in PEM or DER. */
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { type DerElement, derElements } from "./der-reader.ts";

const tag = { integer: 0x02, sequence: 0x30, utcTime: 0x17, generalizedTime: 0x18 } as const;

/**
 * Serial numbers in lowercase hex without leading zeros. The signature is not verified: a process that can write the
 * file can also configure another one. @throws HaplanError `pki/bad-revocation-list` naming `source`.
 */
export function revokedSerialNumbers(bytes: Uint8Array, source: string): ReadonlySet<string> {
  try {
    const [list] = derElements(toDer(bytes));
    const [signed] = derElements(expect(list, tag.sequence));
    const [revoked] = derElements(expect(signed, tag.sequence)).filter(isRevokedList);
    const entries = revoked === undefined ? [] : derElements(revoked.contents);
    return new Set(entries.map((entry) => serialOf(derElements(expect(entry, tag.sequence))[0])));
  } catch (cause) {
    throw new HaplanError(
      "pki/bad-revocation-list",
      `Cannot use "${source}": ${errorText(cause)}; expected an X.509 revocation list in PEM or DER`,
      { cause },
    );
  }
}

function toDer(bytes: Uint8Array): Buffer {
  const text = Buffer.from(bytes).toString("latin1");
  const pem = /-----BEGIN X509 CRL-----([\s\S]*?)-----END X509 CRL-----/.exec(text);
  return pem === null ? Buffer.from(bytes) : Buffer.from(pem[1]!, "base64");
}

/** The revoked certificates follow the times; if there are none, extensions (no sequence) or nothing does. */
function isRevokedList(element: DerElement, at: number, elements: readonly DerElement[]): boolean {
  const before = elements[at - 1]?.tag;
  return element.tag === tag.sequence && (before === tag.utcTime || before === tag.generalizedTime);
}

function serialOf(element: DerElement | undefined): string {
  return BigInt(`0x${expect(element, tag.integer).toString("hex")}`).toString(16);
}

function expect(element: DerElement | undefined, wanted: number): Buffer {
  if (element?.tag !== wanted) throw new Error(`it has no tag ${wanted} where one is required`);
  return element.contents;
}
