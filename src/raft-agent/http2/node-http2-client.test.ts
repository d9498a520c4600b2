/** Uses node:http2's client (nghttp2) as the oracle: our server must understand what it sends, and vice versa. */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRandom } from "../../base/random.ts";
import { type EchoServer, startEchoServer } from "./echo-server.fixture.ts";
import { HpackDecoder } from "./hpack-decoder.ts";

const host = "127.77.13.3";

describe("http2 server with nghttp2's client", () => {
  let server: EchoServer;
  let client: ClientHttp2Session;
  beforeAll(async () => {
    server = await startEchoServer(host);
    client = connect(`http://${host}:${server.port}`);
  });
  afterAll(async () => {
    client.destroy();
    await server.close();
  });

  async function echo(
    body: Buffer,
    headers: Record<string, string> = {},
  ): Promise<{ body: Buffer; status: number | undefined; trailers: IncomingHttpHeaders }> {
    const stream = client.request({ ":method": "POST", ":path": "/", ...headers });
    let status: number | undefined;
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (fields) => (status = fields[":status"]));
    stream.on("trailers", (fields) => (trailers = fields));
    stream.end(body);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return { body: Buffer.concat(chunks), status, trailers };
  }

  it("echoes bodies of all sizes through both windows", async () => {
    for (const size of [0, 1, 16_384, 16_385, 65_536, 3_000_000]) {
      const body = Buffer.alloc(size, size % 251);
      const answer = await echo(body);
      expect(answer.status).toBe(200);
      expect(answer.trailers["x-end"]).toBe("yes");
      expect(answer.body.equals(body)).toBe(true);
    }
  });

  it("serves a hundred concurrent streams, with fields that fill and recycle the header table", async () => {
    const random = createRandom(13);
    const text = (): string =>
      Array.from({ length: random.below(60) }, () => String.fromCharCode(33 + random.below(94))).join("");
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const body = Buffer.alloc(random.below(40_000), i);
        const answer = await echo(body, { [`x-field-${i % 30}`]: text(), "x-common": "same" });
        return answer.body.equals(body) && answer.trailers["x-end"] === "yes";
      }),
    );
    expect(answers.every(Boolean)).toBe(true);
  });

  it("decodes what nghttp2 encodes, byte for byte", async () => {
    // nghttp2's deflater chooses Huffman, the table and size updates by itself; the decoder is fed over the wire.
    const seen: [string, string][] = [];
    const original = HpackDecoder.prototype.decode;
    HpackDecoder.prototype.decode = function (bytes, start, end) {
      const fields = original.call(this, bytes, start, end);
      for (const [i, name] of fields.names.entries()) seen.push([name, fields.values[i]!]);
      return fields;
    };
    try {
      const all = Array.from({ length: 255 - 33 }, (_, i) => String.fromCharCode(i + 33)).filter((c) => c !== "\x7f");
      const values = [all.join(""), all.toReversed().join(""), "a b\tc", "0".repeat(4_000)];
      for (const [i, value] of values.entries()) {
        await echo(Buffer.alloc(0), { [`x-v${i}`]: value });
        expect(seen).toContainEqual([`x-v${i}`, value]);
      }
    } finally {
      HpackDecoder.prototype.decode = original;
    }
  });

  it("drains: the client finishes its stream, then closes without an error", async () => {
    const drained = await startEchoServer(host);
    const other = connect(`http://${host}:${drained.port}`);
    const stream = other.request({ ":method": "POST", ":path": "/" });
    const errors: Error[] = [];
    other.on("error", (error) => errors.push(error));
    await new Promise((resolve) => stream.once("response", resolve));
    for (const connection of drained.connections) connection.drain();
    await new Promise((resolve) => other.once("goaway", resolve));
    stream.end("last");
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("last");
    await expect.poll(() => drained.connections.size).toBe(0);
    expect(errors).toEqual([]);
    await drained.close();
  });
});
