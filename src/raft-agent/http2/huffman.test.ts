import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { huffmanDecode, huffmanDecodedBytesMax, huffmanEncode } from "./huffman.ts";

function decode(bytes: Uint8Array): Buffer | undefined {
  const target = Buffer.alloc(huffmanDecodedBytesMax(bytes.length));
  const length = huffmanDecode(bytes, 0, bytes.length, target);
  return length < 0 ? undefined : target.subarray(0, length);
}

describe("huffman code", () => {
  it("matches the strings of RFC 7541 appendix C", () => {
    const rows: [string, string][] = [
      ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
      ["no-cache", "a8eb10649cbf"],
      ["custom-key", "25a849e95ba97d7f"],
      ["custom-value", "25a849e95bb8e8b4bf"],
      ["302", "6402"],
      ["private", "aec3771a4b"],
      ["Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"],
      ["https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"],
    ];
    for (const [text, hex] of rows) {
      expect(huffmanEncode(Buffer.from(text)).toString("hex")).toBe(hex);
      expect(decode(Buffer.from(hex, "hex"))?.toString()).toBe(text);
    }
  });

  it("round-trips every byte string", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decode(huffmanEncode(bytes))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it("rejects padding of zeros, of more than seven bits, and EOS (RFC 7541 §5.2)", () => {
    // "0" is 00000: the rest of the byte must be ones.
    expect(decode(Buffer.of(0b00000_111))?.toString()).toBe("0");
    expect(decode(Buffer.of(0b00000_000))?.toString()).toBeUndefined();
    expect(decode(Buffer.of(0b00000_111, 0xff))).toBeUndefined();
    expect(decode(Buffer.of(0xff, 0xff, 0xff, 0xff))).toBeUndefined();
  });
});
