import { expect, it } from "vitest";
import { shellWord } from "./shell-word.ts";

it.each([
  ["plain", "'plain'"],
  ["it's", "'it'\\''s'"],
  ["$(reboot) `x`", "'$(reboot) `x`'"],
])("the shell takes %s as one word", (text, word) => {
  expect(shellWord(text)).toBe(word);
});
