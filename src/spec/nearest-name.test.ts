import { expect, it } from "vitest";
import { nearestName } from "./nearest-name.ts";

const known = ["members", "masters", "engine", "tls", "clientPort", "peerPort"];

it.each([
  ["membres", "members"],
  ["member", "members"],
  ["Masters", "masters"],
  ["clientport", "clientPort"],
  ["tsl", "tls"],
  ["engnie", "engine"],
  ["volumes", null],
  ["x", null],
  ["", null],
])("%s is taken for %s", (typed, expected) => {
  expect(nearestName(typed, known)).toBe(expected);
});

it("a very long name costs little and finds nothing", () => {
  expect(nearestName("m".repeat(1_000_000), known)).toBeNull();
});
