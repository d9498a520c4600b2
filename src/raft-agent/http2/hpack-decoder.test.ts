import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeStateless, HpackEncoder, indexedFields } from "./hpack-encoder.ts";
import { ConnectionError } from "./http2-error.ts";

function decode(decoder: HpackDecoder, hex: string): [string, string][] {
  const block = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const fields = decoder.decode(block, 0, block.length);
  return fields.names.map((name, i) => [name, fields.values[i]!]);
}

const request1 = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const request3 = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];
const response = (status: string, date: string, ...more: [string, string][]): [string, string][] => [
  [":status", status],
  ["cache-control", "private"],
  ["date", `Mon, 21 Oct 2013 20:13:${date} GMT`],
  ["location", "https://www.example.com"],
  ...more,
];
const lastResponse = response(
  "200",
  "22",
  ["content-encoding", "gzip"],
  ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
);
// The order of fields in the third response of C.5 and C.6 differs from the first two.
const byName = (fields: readonly (readonly string[])[]): string[] => fields.map((field) => field.join(": ")).sort();

describe("hpack decoder", () => {
  it("decodes the literals and indexes of RFC 7541 C.2", () => {
    const decoder = new HpackDecoder(4096, 65_536);
    expect(decode(decoder, "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572")).toEqual([
      ["custom-key", "custom-header"],
    ]);
    expect(decoder.tableBytes).toBe(55);
    expect(decode(decoder, "040c 2f73 616d 706c 652f 7061 7468")).toEqual([[":path", "/sample/path"]]);
    expect(decode(decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74")).toEqual([["password", "secret"]]);
    expect(decode(decoder, "82")).toEqual([[":method", "GET"]]);
    expect(decoder.tableBytes).toBe(55);
  });

  it.each([
    [
      "C.3, without Huffman",
      [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
      ],
    ],
    [
      "C.4, with Huffman",
      [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
      ],
    ],
  ])("decodes the requests of RFC 7541 %s", (_title, blocks) => {
    const decoder = new HpackDecoder(4096, 65_536);
    expect(decode(decoder, blocks[0]!)).toEqual(request1);
    expect(decoder.tableBytes).toBe(57);
    expect(decode(decoder, blocks[1]!)).toEqual([...request1, ["cache-control", "no-cache"]]);
    expect(decoder.tableBytes).toBe(110);
    expect(decode(decoder, blocks[2]!)).toEqual(request3);
    expect(decoder.tableBytes).toBe(164);
  });

  it.each([
    [
      "C.5, without Huffman",
      [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
      ],
    ],
    [
      "C.6, with Huffman",
      [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
      ],
    ],
  ])("decodes the responses of RFC 7541 %s through evictions", (_title, blocks) => {
    const decoder = new HpackDecoder(256, 65_536);
    expect(decode(decoder, blocks[0]!)).toEqual(response("302", "21"));
    expect(decoder.tableBytes).toBe(222);
    expect(decode(decoder, blocks[1]!)).toEqual(response("307", "21"));
    expect(decoder.tableBytes).toBe(222);
    expect(byName(decode(decoder, blocks[2]!))).toEqual(byName(lastResponse));
    expect(decoder.tableBytes).toBe(215);
  });

  it.each([
    ["index 0 (§6.1)", "80"],
    ["an index beyond the table (§2.3.3)", "be"],
    ["a table size above the limit (§6.3)", "3fe2 7f"],
    ["a table size update after a field (§4.2)", "8220"],
    ["an integer that never ends (§5.1)", "7fff ffff ffff ffff"],
    ["a truncated integer", "7f80"],
    ["a string longer than the block", "4005 6162"],
    ["a missing string", "40"],
    ["a Huffman string padded with zeros (§5.2)", "4081 0081 00"],
  ])("rejects %s", (_title, hex) => {
    expect(() => decode(new HpackDecoder(4096, 65_536), hex)).toThrow(ConnectionError);
  });

  it("clears the table at size 0 and uses it again (§4.3)", () => {
    const decoder = new HpackDecoder(4096, 65_536);
    decode(decoder, "4001 6101 62");
    decode(decoder, "203f e11f 4001 6301 64");
    expect(decode(decoder, "be")).toEqual([["c", "d"]]);
    expect(() => decode(decoder, "bf")).toThrow(ConnectionError);
  });

  it("clears the table for an entry larger than the table (§4.4)", () => {
    const decoder = new HpackDecoder(64, 65_536);
    decode(decoder, "4001 6101 62");
    expect(decoder.tableBytes).toBe(34);
    decode(decoder, `4001 6128 ${"62".repeat(40)}`);
    expect(decoder.tableBytes).toBe(0);
  });

  it("keeps the table in sync when a field list is too large to keep", () => {
    const decoder = new HpackDecoder(4096, 100);
    const block = Buffer.from("4001610162400163016440016501664001670168", "hex");
    const fields = decoder.decode(block, 0, block.length);
    expect(fields.tooLarge).toBe(true);
    expect(fields.names).toEqual(["a", "c"]);
    expect(decode(decoder, "be")).toEqual([["g", "h"]]);
  });
});

describe("hpack encoder", () => {
  const indexed = indexedFields([
    [":status", "200"],
    ["content-type", "application/grpc"],
    ["grpc-status", "0"],
  ]);
  const encode = (encoder: HpackEncoder): Buffer => {
    const target = Buffer.alloc(512);
    let at = encoder.begin(target, 0);
    for (const field of indexed) at = encoder.writeIndexed(target, at, field);
    return target.subarray(0, at);
  };
  const expected = [
    [":status", "200"],
    ["content-type", "application/grpc"],
    ["grpc-status", "0"],
  ];

  it("spends one byte on a indexed field after its first use", () => {
    const encoder = new HpackEncoder(indexed);
    const decoder = new HpackDecoder(4096, 65_536);
    expect(decode(decoder, encode(encoder).toString("hex"))).toEqual(expected);
    const again = encode(encoder);
    expect(again.length).toBe(3);
    expect(decode(decoder, again.toString("hex"))).toEqual(expected);
  });

  it("is understood by a decoder of any table size, also when the size changes", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 6_000 }), { maxLength: 6 }), (sizes) => {
        const encoder = new HpackEncoder(indexed);
        const decoder = new HpackDecoder(6_000, 65_536);
        for (const size of sizes) {
          encoder.limitTable(size);
          expect(decode(decoder, encode(encoder).toString("hex"))).toEqual(expected);
        }
        expect(decoder.tableBytes).toBeLessThanOrEqual(Math.min(4_096, ...sizes));
      }),
    );
  });

  it("does not touch the table for stateless blocks", () => {
    const decoder = new HpackDecoder(4096, 65_536);
    const block = encodeStateless([
      [":status", "415"],
      ["content-type", "application/grpc"],
      ["grpc-message", "x".repeat(300)],
    ]);
    expect(decode(decoder, block.toString("hex"))[2]).toEqual(["grpc-message", "x".repeat(300)]);
    expect(decoder.changes).toBe(0);
  });
});
