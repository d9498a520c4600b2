import { expect, it } from "vitest";
import { compareHashes, type HashComparison } from "./corruption-check.ts";

const comparison = (hashes: Record<string, number>, voters: string): HashComparison =>
  compareHashes(new Map(Object.entries(hashes)), voters.split(""));

it.each([
  ["all agree", { a: 1, b: 1, c: 1 }, "abc", "", ""],
  ["one of three differs", { a: 1, b: 2, c: 1 }, "abc", "b", "ac"],
  ["the requesting member differs", { a: 2, b: 1, c: 1 }, "abc", "a", "bc"],
  ["all differ", { a: 1, b: 2, c: 3 }, "abc", "abc", ""],
  ["two of three respond and differ", { a: 1, b: 2 }, "abc", "ab", ""],
  ["two of five differ in the same way", { a: 1, b: 1, c: 1, d: 2, e: 2 }, "abcde", "de", "abc"],
  ["two and two of five, one silent", { a: 1, b: 1, d: 2, e: 2 }, "abcde", "abde", ""],
  ["a learner differs", { a: 1, b: 1, c: 1, l: 2 }, "abc", "l", "abc"],
  ["learners do not make a majority", { a: 1, l: 1, m: 1, b: 2 }, "abc", "almb", ""],
])("compares hashes: %s", (_name, hashes, voters, damaged, majority) => {
  const found = comparison(hashes as Record<string, number>, voters);
  expect([found.damaged.join(""), found.majority.join("")]).toEqual([damaged, majority]);
});
