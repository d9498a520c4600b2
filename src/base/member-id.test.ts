import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatMemberId, parseMemberId } from "./member-id.ts";

describe("the id of a member", () => {
  it("is the same after it was text", () => {
    fc.assert(fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (id) => parseMemberId(formatMemberId(id)) === id));
  });

  it.each([
    [0n, "0000000000000000"],
    [10n, "000000000000000a"],
    [0x8e9e05c52164694dn, "8e9e05c52164694d"],
    [-1n, "ffffffffffffffff"],
  ])("%i is written as %s", (id, text) => {
    expect(formatMemberId(id)).toBe(text);
  });

  it("is 0 where there is none", () => {
    expect(parseMemberId("")).toBe(0n);
  });
});
