import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonSplitter } from "./json-splitter.ts";

function split(pieces: readonly string[]): { objects: string[]; rest: string } {
  const splitter = new JsonSplitter();
  const objects: string[] = [];
  for (const piece of pieces) {
    splitter.add(piece);
    for (let object = splitter.next(); object !== null; object = splitter.next()) objects.push(object);
  }
  return { objects, rest: splitter.rest };
}

describe("the object splitter", () => {
  it("finds the same objects however the text is split", () => {
    const values = fc.array(fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue())));
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 9 }), (wanted, size) => {
        const text = wanted.map((value) => JSON.stringify(value)).join("");
        const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
          text.slice(at * size, (at + 1) * size),
        );
        expect(split(pieces)).toEqual({ objects: wanted.map((value) => JSON.stringify(value)), rest: "" });
      }),
    );
  });

  it("ends words at white space", () => {
    expect(split([' 1\n nonsense\t{"a": "b c"} "d e" {', "}"])).toEqual({
      objects: [" 1", "\n nonsense", '\t{"a": "b c"}', ' "d e"', " {}"],
      rest: "",
    });
  });

  it("keeps an incomplete object, also when it ends in an escape", () => {
    expect(split(['{"a":"\\', '"}"}', ' {"b'])).toEqual({ objects: ['{"a":"\\"}"}'], rest: ' {"b' });
  });
});
