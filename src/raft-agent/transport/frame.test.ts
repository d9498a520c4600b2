import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../wal/byte-codec.ts";
import { FrameReader } from "./frame.ts";

function frames(bodies: readonly { type: number; body: Uint8Array }[]): Uint8Array {
  const writer = new ByteWriter();
  for (const { type, body } of bodies) {
    writer.uint32(body.length + 1);
    writer.uint8(type);
    writer.raw(body);
  }
  return writer.written().slice();
}

describe("the frame reader", () => {
  it("frames are complete and in order, however the bytes are split", () => {
    const frame = fc.record({ type: fc.nat(255), body: fc.uint8Array({ maxLength: 30 }) });
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }),
        (sent, cuts) => {
          const received: { type: number; body: string }[] = [];
          const reader = new FrameReader(64, (type, bytes, start, end) => {
            received.push({ type, body: Buffer.from(bytes.subarray(start, end)).toString("hex") });
          });
          const all = frames(sent);
          for (let at = 0, turn = 0; at < all.length; turn++) {
            const size = cuts[turn % cuts.length]!;
            reader.push(all.subarray(at, at + size));
            at += size;
          }
          expect(received).toEqual(sent.map(({ type, body }) => ({ type, body: Buffer.from(body).toString("hex") })));
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each([[0], [65], [0xffff_ffff]])("a frame with a length of %i bytes is rejected before they arrive", (length) => {
    const writer = new ByteWriter();
    writer.uint32(length);
    const reader = new FrameReader(64, () => {});
    expect(() => reader.push(writer.written())).toThrow(expect.objectContaining({ code: "transport/bad-frame" }));
  });
});
