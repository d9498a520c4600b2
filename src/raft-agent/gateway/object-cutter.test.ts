import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ObjectCutter } from "./object-cutter.ts";

function cut(pieces: readonly string[]): { objects: string[]; rest: string } {
  const cutter = new ObjectCutter();
  const objects: string[] = [];
  for (const piece of pieces) {
    cutter.add(piece);
    for (let object = cutter.next(); object !== null; object = cutter.next()) objects.push(object);
  }
  return { objects, rest: cutter.rest };
}

describe("the object cutter", () => {
  it("finds the same objects however the text is cut", () => {
    const values = fc.array(fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue())));
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 9 }), (wanted, size) => {
        const text = wanted.map((value) => JSON.stringify(value)).join("");
        const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
          text.slice(at * size, (at + 1) * size),
        );
        expect(cut(pieces)).toEqual({ objects: wanted.map((value) => JSON.stringify(value)), rest: "" });
      }),
    );
  });

  it("cuts off words behind white space", () => {
    expect(cut([' 1\n nonsense\t{"a": "b c"} "d e" {', "}"])).toEqual({
      objects: [" 1", "\n nonsense", '\t{"a": "b c"}', ' "d e"', " {}"],
      rest: "",
    });
  });

  it("keeps what is not whole, also when it ends in an escape", () => {
    expect(cut(['{"a":"\\', '"}"}', ' {"b'])).toEqual({ objects: ['{"a":"\\"}"}'], rest: ' {"b' });
  });
});
