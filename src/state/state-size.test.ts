import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readStateStream, stateBytesMax, unpackState } from "./state-size.ts";

const refusal = { code: "state/unreadable", message: expect.stringContaining("the place: it is larger than 64 MiB") };

describe("a state that comes from elsewhere", () => {
  it("A low: is not unpacked into more than a state can be", () => {
    const bomb = gzipSync(Buffer.alloc(stateBytesMax + 1));
    expect(bomb.length).toBeLessThan(100_000);
    expect(() => unpackState(bomb, "the place")).toThrow(expect.objectContaining(refusal));
    expect(unpackState(gzipSync("{}"), "the place")).toBe("{}");
  });

  it("is refused by name when it cannot be unpacked", () => {
    const cut = gzipSync("{}").subarray(0, 15);
    expect(() => unpackState(cut, "the place")).toThrow(/^Cannot decompress the state\nthe place: /);
  });

  it("is not read for longer than a state can be", async () => {
    let read = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (const chunk = new Uint8Array(1024 * 1024); ; read += chunk.length) yield chunk;
    }
    await expect(readStateStream(endless(), "the place")).rejects.toMatchObject(refusal);
    expect(read).toBeLessThanOrEqual(stateBytesMax);
  });

  it("keeps characters whole that were cut between two chunks", async () => {
    async function* chunks(): AsyncGenerator<Uint8Array> {
      const bytes = Buffer.from("größe");
      yield bytes.subarray(0, 3);
      yield bytes.subarray(3);
    }
    expect(await readStateStream(chunks(), "the place")).toBe("größe");
  });
});
