import { expect, it } from "vitest";
import { normalizeFlags } from "./argv.ts";

it.each([
  ["plan -json --out f", "plan --json --out f"],
  ["plan -out=f -detailed-exitcode", "plan --out=f --detailed-exitcode"],
  ["-h", "-h"],
  ["plan -", "plan -"],
  ["quorum -5", "quorum -5"],
  ["apply -- -json", "apply -- -json"],
])("%s is taken as %s", (typed, meant) => {
  expect(normalizeFlags(typed.split(" ")).join(" ")).toBe(meant);
});
