import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32c } from "./crc32c.ts";

/** The definition, one bit at a time. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe("crc32c", () => {
  it.each([
    ["the check value of the polynomial", Buffer.from("123456789"), 0xe3069283],
    ["32 bytes of zero (RFC 3720 §B.4)", new Uint8Array(32), 0x8a9136aa],
    ["32 bytes of ones (RFC 3720 §B.4)", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["32 ascending bytes (RFC 3720 §B.4)", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ["nothing", new Uint8Array(0), 0],
  ])("crc32c gives the published value for %s", (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it("crc32c agrees with the definition, also when computed in two parts and from an odd offset", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
        const split = Math.min(cut, bytes.length);
        expect(crc32c(bytes)).toBe(slowCrc32c(bytes));
        expect(crc32c(bytes, split, bytes.length, crc32c(bytes, 0, split))).toBe(slowCrc32c(bytes));
      }),
    );
  });
});
