/**
 * Fuzzes the server from a seed: valid conversations with bytes changed, frames dropped, repeated and truncated.
 * Whatever arrives, the server must serve a well-behaved client afterwards and keep no stream of the fuzzing one.
 * FUZZ_ROUNDS and FUZZ_SEED make it longer or reproduce a finding.
 */
import { describe, expect, it } from "vitest";
import { anyFrame, greeting, RawClient } from "../../../test/support/raw-client.ts";
import { createRandom, type Random } from "../../base/random.ts";
import { startEchoServer } from "./echo-server.fixture.ts";
import { pingFrame, settingsFrame } from "./frame.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeStateless } from "./hpack-encoder.ts";
import { ConnectionError } from "./http2-error.ts";

const host = "127.77.13.4";
const rounds = Number(process.env["FUZZ_ROUNDS"] ?? 300);
const seed = Number(process.env["FUZZ_SEED"] ?? 1);
const head = encodeStateless([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/x"],
]);

function randomBytes(random: Random, max: number): Buffer {
  return Buffer.from(Array.from({ length: random.below(max + 1) }, () => random.below(256)));
}

function randomFrame(random: Random): Buffer {
  const id = random.below(12);
  switch (random.below(8)) {
    case 0:
      return anyFrame(1, random.below(64), id, random.below(2) === 0 ? head : randomBytes(random, 60));
    case 1:
      return anyFrame(1, 4 + random.below(2), id * 2 + 1, head);
    case 2:
      return anyFrame(0, random.below(16), id, randomBytes(random, 100));
    case 3:
      return settingsFrame([[random.below(8), random.below(2) === 0 ? random.below(100_000) : random.below(2 ** 32)]]);
    case 4:
      return anyFrame(8, 0, id, randomBytes(random, 5));
    case 5:
      return anyFrame(9, random.below(8), id, randomBytes(random, 40));
    case 6:
      return pingFrame(Buffer.alloc(8), random.below(2) === 0);
    default:
      return anyFrame(random.below(14), random.below(256), id, randomBytes(random, 30));
  }
}

describe("http2 server under fuzzing", () => {
  it(`survives ${rounds} mutated conversations (seed ${seed})`, async () => {
    const server = await startEchoServer(host);
    const random = createRandom(seed);
    for (let round = 0; round < rounds; round++) {
      const client = await RawClient.connect(host, server.port);
      const frames = Array.from({ length: 1 + random.below(30) }, () => randomFrame(random));
      const bytes = Buffer.concat([greeting, ...frames]);
      if (random.below(2) === 0)
        bytes[greeting.length + random.below(bytes.length - greeting.length)] = random.below(256);
      const cut = random.below(bytes.length);
      client.write(bytes.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.write(bytes.subarray(cut));
      if (random.below(4) === 0) await new Promise((resolve) => setImmediate(resolve));
      client.destroy();
    }
    const client = await RawClient.connect(host, server.port);
    client.write(greeting, anyFrame(1, 4, 1, head), anyFrame(0, 1, 1, Buffer.from("still here")));
    await client.until(() => client.ended(1));
    expect(client.body(1).toString()).toBe("still here");
    client.destroy();
    await expect.poll(() => server.connections.size, { timeout: 5_000 }).toBe(0);
    await server.close();
  });

  it("decodes random bytes to fields or to COMPRESSION_ERROR, within the table's limit", () => {
    const random = createRandom(seed);
    const decoder = new HpackDecoder(256, 1_000);
    for (let round = 0; round < rounds * 30; round++) {
      const block = randomBytes(random, 40);
      try {
        const fields = decoder.decode(block, 0, block.length);
        expect(fields.names.length).toBe(fields.values.length);
      } catch (error) {
        expect(error).toBeInstanceOf(ConnectionError);
      }
      expect(decoder.tableBytes).toBeLessThanOrEqual(256);
    }
  });
});
