import { describe, expect, it } from "vitest";
import { JsonError, parseJson } from "./json-text.ts";

describe("a text that is no JSON", () => {
  it.each([
    ["", "it is empty"],
    [" \n", "it is empty"],
    ['{"a":', "it is truncated: the JSON ends at line 1, column 6"],
    ['{\n  "a": "b', "it is truncated: the JSON ends at line 2, column 10"],
    ["[1, 2", "it is truncated: the JSON ends at line 1, column 6"],
    ["{ no", "it is not JSON at line 1, column 3"],
    ["<html>", "it is not JSON"],
  ])("A21: is told in words that do not change with Node.js: %j", (text, reason) => {
    expect(() => parseJson(text)).toThrow(new JsonError(reason));
  });

  it("is no obstacle to a text that is JSON", () => {
    expect(parseJson('{"a":[1,null]}')).toEqual({ a: [1, null] });
  });
});
