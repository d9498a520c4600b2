import { expect, it } from "vitest";
import { prefixEnd } from "./prefix-end.ts";

it("prefix end is the first key after the prefix, and does not change the prefix, even as a Buffer", () => {
  const table: readonly (readonly [string, string])[] = [
    ["a", "b"],
    ["a/", "a0"],
    ["a\xff", "b"],
    ["a\xff\xff", "b"],
    ["\xff", "\0"],
    ["", "\0"],
  ];
  for (const [text, end] of table) {
    const prefix = Buffer.from(text, "latin1");
    expect(Buffer.from(prefixEnd(prefix)).toString("latin1"), JSON.stringify(text)).toBe(end);
    expect(prefix.toString("latin1")).toBe(text);
  }
});
