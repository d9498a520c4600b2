import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { splitLines } from "./split-lines.ts";

async function linesOf(chunks: readonly (string | Uint8Array)[], lineBytesMax = 100): Promise<string[]> {
  const found: string[] = [];
  for await (const line of splitLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), lineBytesMax))
    found.push(line);
  return found;
}

describe("lines of a stream", () => {
  const euro = Buffer.from("€");

  it.each<[string, readonly (string | Uint8Array)[], readonly string[]]>([
    ["several in one chunk", ["a\nb\n"], ["a", "b"]],
    ["one in several chunks", ["a", "b", "c\n"], ["abc"]],
    ["an empty one", ["\n\na\n"], ["", "", "a"]],
    ["a character that two chunks share", [euro.subarray(0, 1), euro.subarray(1), "\n"], ["€"]],
    ["separators that JSON may hold", ["a\u2028b\rc\n"], ["a\u2028b\rc"]],
    ["the rest after the last end is left out", ["a\nb"], ["a"]],
  ])("%s", async (_, chunks, lines) => {
    expect(await linesOf(chunks)).toEqual(lines);
  });

  it("fails for a line that is too long, and gives those before it", async () => {
    await expect(linesOf(["a\n", "b".repeat(60), "b".repeat(60)])).rejects.toMatchObject({
      code: "provider/line-too-long",
    });
    expect(await linesOf([`${"b".repeat(60)}\n${"b".repeat(60)}\n`])).toHaveLength(2);
  });
});
