import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalDigest, canonicalJson, sameJson } from "./canonical-json.ts";

describe("canonicalJson", () => {
  it("sorts keys at every depth and leaves undefined members out", () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }], a: undefined })).toBe('{"b":[{"c":null,"d":1}]}');
  });

  it("says the same as JSON for every JSON value, and the same again after a round trip", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  it("refuses what JSON cannot say", () => {
    for (const value of [Number.NaN, 1n, () => 1]) expect(() => canonicalJson(value)).toThrow(TypeError);
  });

  it("digests to SHA-256 of the text", () => {
    expect(canonicalDigest({})).toBe("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  });
});

describe("sameJson", () => {
  it("compares by value, and takes what is absent for null", () => {
    expect(sameJson({ a: [1, "x"], b: null }, { b: null, a: [1, "x"] })).toBe(true);
    expect(sameJson(undefined, null)).toBe(true);
    for (const [a, b] of [
      [1, "1"],
      [[1], [2]],
      [null, {}],
      [0, null],
    ])
      expect(sameJson(a, b)).toBe(false);
  });
});
