import { describe, expect, it } from "vitest";
import { RecentRequests } from "./slow-requests.ts";

describe("recent requests", () => {
  it("are unchanged until they are overwritten, also across the end of the ring", () => {
    const recent = new RecentRequests();
    const of = (fill: number, length: number): Uint8Array => new Uint8Array(length).fill(fill);
    const kept: { position: number; fill: number; length: number }[] = [];
    for (let at = 0; at < 3_000; at++) {
      const [fill, length] = [at % 251, (at * 37) % 4_097];
      kept.push({ position: recent.keep(of(fill, length)), fill, length });
    }
    const last = kept.slice(-1_000);
    for (const { position, fill, length } of last) expect(recent.read(position, length)).toEqual(of(fill, length));
    expect(kept.slice(0, 500).every(({ position, length }) => recent.read(position, length) === null)).toBe(true);
  });

  it("are not kept when they are large", () => {
    const recent = new RecentRequests();
    expect(recent.keep(new Uint8Array(4_097))).toBe(-1);
    expect(recent.read(-1, 4_097)).toBeNull();
  });
});
