/** Conformance, row by row: what a client sends, and the server's response according to the sections of RFC 9113. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anyFrame, greeting, RawClient } from "../../../test/support/raw-client.ts";
import { type EchoServer, startEchoServer } from "./echo-server.fixture.ts";
import { clientPreface, ErrorCode, FrameType, goawayFrame, pingFrame, settingsFrame, writeUint32 } from "./frame.ts";
import { encodeStateless } from "./hpack-encoder.ts";

const host = "127.77.13.2";
const { data, headers, priority, rstStream, settings, pushPromise, ping, windowUpdate, continuation } = FrameType;
const endStream = 1;
const endHeaders = 4;
const both = endStream | endHeaders;

const request: readonly [string, string][] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/x"],
  [":authority", "a"],
];
const head = (...more: [string, string][]): Buffer => encodeStateless([...request, ...more]);
const open = (streamId: number, flags = endHeaders, block = head()): Buffer =>
  anyFrame(headers, flags, streamId, block);
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  writeUint32(bytes, 0, value);
  return bytes;
};
const withoutField = (name: string): Buffer => encodeStateless(request.filter(([field]) => field !== name));
const malformed = (...fields: [string, string][]): Buffer => open(1, both, encodeStateless(fields));

type Row = readonly [section: string, title: string, bytes: readonly Uint8Array[]];

const connectionErrors: readonly (readonly [...Row, code: number])[] = [
  ["3.4", "a wrong preface", [Buffer.from(`${clientPreface.toString().slice(0, 23)}X`)], ErrorCode.protocolError],
  [
    "3.4",
    "a first frame that is not SETTINGS",
    [clientPreface, pingFrame(Buffer.alloc(8), false)],
    ErrorCode.protocolError,
  ],
  ["3.4", "HEADERS before SETTINGS", [clientPreface, open(1)], ErrorCode.protocolError],
  [
    "4.2",
    "a frame above SETTINGS_MAX_FRAME_SIZE",
    [greeting, anyFrame(data, 0, 1, Buffer.alloc(16_385))],
    ErrorCode.frameSizeError,
  ],
  [
    "4.3",
    "a header block that cannot be decoded",
    [greeting, open(1, both, Buffer.of(0x80))],
    ErrorCode.compressionError,
  ],
  ["5.1", "DATA on an idle stream", [greeting, anyFrame(data, 0, 1)], ErrorCode.protocolError],
  ["5.1", "RST_STREAM on an idle stream", [greeting, anyFrame(rstStream, 0, 1, uint32(8))], ErrorCode.protocolError],
  [
    "5.1",
    "WINDOW_UPDATE on an idle stream",
    [greeting, anyFrame(windowUpdate, 0, 1, uint32(1))],
    ErrorCode.protocolError,
  ],
  [
    "5.1",
    "DATA on a stream closed by both sides",
    [greeting, open(1, both), anyFrame(data, 0, 1, Buffer.of(1))],
    ErrorCode.streamClosed,
  ],
  ["5.1.1", "a stream with an even id", [greeting, open(2)], ErrorCode.protocolError],
  ["5.1.1", "a decreasing stream id", [greeting, open(5, both), open(3, both)], ErrorCode.streamClosed],
  ["6.1", "DATA on stream 0", [greeting, anyFrame(data, 0, 0, Buffer.of(1))], ErrorCode.protocolError],
  [
    "6.1",
    "padding as long as DATA",
    [greeting, open(1), anyFrame(data, 8, 1, Buffer.of(2, 0))],
    ErrorCode.protocolError,
  ],
  ["6.2", "HEADERS on stream 0", [greeting, anyFrame(headers, both, 0, head())], ErrorCode.protocolError],
  [
    "6.2",
    "padding as long as HEADERS",
    [greeting, anyFrame(headers, both | 8, 1, Buffer.of(9, 0x82))],
    ErrorCode.protocolError,
  ],
  [
    "6.2",
    "HEADERS too short for its priority",
    [greeting, anyFrame(headers, both | 0x20, 1, Buffer.of(1, 2))],
    ErrorCode.frameSizeError,
  ],
  ["6.3", "PRIORITY on stream 0", [greeting, anyFrame(priority, 0, 0, Buffer.alloc(5))], ErrorCode.protocolError],
  ["6.4", "RST_STREAM on stream 0", [greeting, anyFrame(rstStream, 0, 0, uint32(0))], ErrorCode.protocolError],
  [
    "6.4",
    "RST_STREAM of a wrong length",
    [greeting, open(1), anyFrame(rstStream, 0, 1, Buffer.alloc(5))],
    ErrorCode.frameSizeError,
  ],
  ["6.5", "SETTINGS on a stream", [greeting, anyFrame(settings, 0, 1)], ErrorCode.protocolError],
  [
    "6.5",
    "SETTINGS of a wrong length",
    [greeting, anyFrame(settings, 0, 0, Buffer.alloc(5))],
    ErrorCode.frameSizeError,
  ],
  [
    "6.5",
    "a SETTINGS acknowledgement with payload",
    [greeting, anyFrame(settings, 1, 0, Buffer.alloc(6))],
    ErrorCode.frameSizeError,
  ],
  ["6.5.2", "SETTINGS_ENABLE_PUSH of 2", [greeting, settingsFrame([[2, 2]])], ErrorCode.protocolError],
  [
    "6.5.2",
    "SETTINGS_INITIAL_WINDOW_SIZE of 2^31",
    [greeting, settingsFrame([[4, 0x8000_0000]])],
    ErrorCode.flowControlError,
  ],
  ["6.5.2", "SETTINGS_MAX_FRAME_SIZE of 100", [greeting, settingsFrame([[5, 100]])], ErrorCode.protocolError],
  ["6.5.2", "SETTINGS_MAX_FRAME_SIZE of 2^24", [greeting, settingsFrame([[5, 0x100_0000]])], ErrorCode.protocolError],
  ["6.6", "PUSH_PROMISE", [greeting, anyFrame(pushPromise, endHeaders, 1, Buffer.alloc(8))], ErrorCode.protocolError],
  ["6.7", "PING on a stream", [greeting, anyFrame(ping, 0, 1, Buffer.alloc(8))], ErrorCode.protocolError],
  ["6.7", "PING of a wrong length", [greeting, anyFrame(ping, 0, 0, Buffer.alloc(7))], ErrorCode.frameSizeError],
  ["6.8", "GOAWAY on a stream", [greeting, anyFrame(FrameType.goaway, 0, 1, Buffer.alloc(8))], ErrorCode.protocolError],
  [
    "6.9",
    "WINDOW_UPDATE of a wrong length",
    [greeting, anyFrame(windowUpdate, 0, 0, Buffer.alloc(3))],
    ErrorCode.frameSizeError,
  ],
  [
    "6.9",
    "WINDOW_UPDATE of 0 on the connection",
    [greeting, anyFrame(windowUpdate, 0, 0, uint32(0))],
    ErrorCode.protocolError,
  ],
  [
    "6.9.1",
    "a connection window above 2^31-1",
    [greeting, anyFrame(windowUpdate, 0, 0, uint32(0x7fff_ffff))],
    ErrorCode.flowControlError,
  ],
  [
    "6.9.2",
    "an initial window that overflows a stream's",
    [greeting, open(1), anyFrame(windowUpdate, 0, 1, uint32(0x7fff_0000)), settingsFrame([[4, 0x7fff_ffff]])],
    ErrorCode.flowControlError,
  ],
  [
    "6.10",
    "CONTINUATION without HEADERS",
    [greeting, anyFrame(continuation, endHeaders, 1, head())],
    ErrorCode.protocolError,
  ],
  [
    "6.10",
    "an interrupted header block",
    [greeting, open(1, 0), anyFrame(ping, 0, 0, Buffer.alloc(8))],
    ErrorCode.protocolError,
  ],
  [
    "6.10",
    "CONTINUATION on another stream",
    [greeting, open(1, 0), anyFrame(continuation, endHeaders, 3)],
    ErrorCode.protocolError,
  ],
];

const streamErrors: readonly (readonly [...Row, code: number])[] = [
  ["6.3", "PRIORITY of a wrong length", [open(1), anyFrame(priority, 0, 1, Buffer.alloc(4))], ErrorCode.frameSizeError],
  ["6.9", "WINDOW_UPDATE of 0", [open(1), anyFrame(windowUpdate, 0, 1, uint32(0))], ErrorCode.protocolError],
  [
    "6.9.1",
    "a stream window above 2^31-1",
    [open(1), anyFrame(windowUpdate, 0, 1, uint32(0x7fff_ffff))],
    ErrorCode.flowControlError,
  ],
  [
    "8.1",
    "trailers without END_STREAM",
    [open(1), open(1, endHeaders, encodeStateless([["x", "y"]]))],
    ErrorCode.protocolError,
  ],
  [
    "8.1",
    "a pseudo-field in trailers",
    [open(1), open(1, both, encodeStateless([[":path", "/"]]))],
    ErrorCode.protocolError,
  ],
  [
    "8.1.1",
    "a body longer than content-length",
    [open(1, endHeaders, head(["content-length", "1"])), anyFrame(data, 0, 1, Buffer.of(1, 2))],
    ErrorCode.protocolError,
  ],
  [
    "8.1.1",
    "a body shorter than content-length",
    [open(1, endHeaders, head(["content-length", "3"])), anyFrame(data, endStream, 1, Buffer.of(1))],
    ErrorCode.protocolError,
  ],
  ["8.1.1", "content-length without a body", [open(1, both, head(["content-length", "3"]))], ErrorCode.protocolError],
  ["8.2", "a field name in upper case", [open(1, both, head(["Te", "x"]))], ErrorCode.protocolError],
  ["8.2.1", "a field name with a space", [open(1, both, head(["a b", "x"]))], ErrorCode.protocolError],
  ["8.2.1", "an empty field name", [open(1, both, head(["", "x"]))], ErrorCode.protocolError],
  ["8.2.1", "a field value with a line feed", [open(1, both, head(["a", "x\ny"]))], ErrorCode.protocolError],
  ["8.2.1", "a field value that ends with a space", [open(1, both, head(["a", "x "]))], ErrorCode.protocolError],
  ["8.2.2", "a connection-specific field", [open(1, both, head(["connection", "close"]))], ErrorCode.protocolError],
  ["8.2.2", "te other than trailers", [open(1, both, head(["te", "gzip"]))], ErrorCode.protocolError],
  [
    "8.3",
    "an unknown pseudo-field",
    [open(1, both, encodeStateless([...request, [":x", "y"]]))],
    ErrorCode.protocolError,
  ],
  [
    "8.3",
    "a response pseudo-field",
    [open(1, both, encodeStateless([...request, [":status", "200"]]))],
    ErrorCode.protocolError,
  ],
  [
    "8.3",
    "a pseudo-field after a regular one",
    [open(1, both, encodeStateless([["a", "b"], ...request]))],
    ErrorCode.protocolError,
  ],
  ["8.3.1", "no :method", [open(1, both, withoutField(":method"))], ErrorCode.protocolError],
  ["8.3.1", "no :scheme", [open(1, both, withoutField(":scheme"))], ErrorCode.protocolError],
  ["8.3.1", "no :path", [open(1, both, withoutField(":path"))], ErrorCode.protocolError],
  ["8.3.1", ":path twice", [open(1, both, encodeStateless([...request, [":path", "/y"]]))], ErrorCode.protocolError],
  [
    "8.3.1",
    "an empty :path",
    [malformed([":method", "GET"], [":scheme", "http"], [":path", ""])],
    ErrorCode.protocolError,
  ],
  [
    "8.5",
    "CONNECT with :path",
    [malformed([":method", "CONNECT"], [":authority", "a"], [":path", "/"])],
    ErrorCode.protocolError,
  ],
];

describe("http2 server connection", () => {
  let server: EchoServer;
  beforeAll(async () => {
    server = await startEchoServer(host);
  });
  afterAll(() => server.close());

  async function withClient(run: (client: RawClient) => Promise<void>, port = server.port): Promise<void> {
    const client = await RawClient.connect(host, port);
    try {
      await run(client);
    } finally {
      client.destroy();
    }
  }

  it.each(connectionErrors)("closes the connection (%s) for %s", async (section, title, bytes, code) => {
    await withClient(async (client) => {
      // A wrong preface that differs early is HTTP/1.1 to the listener; here it differs in the last byte.
      client.write(...bytes);
      if (section === "3.4" && title === "a wrong preface") await client.until(() => client.closed);
      else {
        await client.until(() => client.goawayCode !== undefined);
        expect(client.goawayCode).toBe(code);
        await client.until(() => client.closed);
      }
    });
  });

  it.each(streamErrors)("ends the stream (%s) for %s", async (_section, _title, bytes, code) => {
    await withClient(async (client) => {
      client.write(greeting, ...bytes, open(99, both));
      await client.until(() => client.ended(99));
      expect(client.resetCode(1)).toBe(code);
      expect(client.goawayCode).toBeUndefined();
    });
  });

  it("ends the stream (5.1) for DATA and HEADERS after END_STREAM while the response waits", async () => {
    await withClient(async (client) => {
      // A window of 0 keeps the response, and so the stream, open.
      client.write(greeting, settingsFrame([[4, 0]]));
      for (const id of [1, 3]) client.write(open(id), anyFrame(data, endStream, id, Buffer.of(1)));
      client.write(anyFrame(data, 0, 1, Buffer.of(2)), open(3, both, encodeStateless([["x", "y"]])));
      await client.until(() => client.resetCode(1) !== undefined && client.resetCode(3) !== undefined);
      expect([client.resetCode(1), client.resetCode(3)]).toEqual([ErrorCode.streamClosed, ErrorCode.streamClosed]);
    });
  });

  it("reads padding, priority, CONTINUATION and unknown frames, and ignores what it must", async () => {
    await withClient(async (client) => {
      const block = head();
      client.write(
        greeting,
        anyFrame(
          headers,
          8 | 0x20,
          1,
          Buffer.concat([Buffer.of(3), Buffer.alloc(5), block.subarray(0, 4), Buffer.alloc(3)]),
        ),
        anyFrame(continuation, 0, 1, block.subarray(4, 9)),
        anyFrame(continuation, endHeaders, 1, block.subarray(9)),
        anyFrame(0xee, 0xff, 1, Buffer.from("unknown")),
        anyFrame(priority, 0, 1, Buffer.alloc(5)),
        anyFrame(priority, 0, 77, Buffer.alloc(5)),
        settingsFrame([[0x99, 1]]),
        anyFrame(data, 8, 1, Buffer.from("\x02hello\0\0", "latin1")),
        anyFrame(data, endStream, 1),
      );
      await client.until(() => client.ended(1));
      expect(client.body(1).toString()).toBe("hello");
    });
  });

  it("responds the same however the bytes are split", async () => {
    const bytes = Buffer.concat([
      greeting,
      open(1),
      anyFrame(data, 0, 1, Buffer.from("abc")),
      anyFrame(data, endStream, 1),
    ]);
    for (const piece of [1, 2, 7, 10, 33]) {
      await withClient(async (client) => {
        for (let at = 0; at < bytes.length; at += piece) {
          client.write(bytes.subarray(at, at + piece));
          await new Promise((resolve) => setImmediate(resolve));
        }
        await client.until(() => client.ended(1));
        expect(client.body(1).toString()).toBe("abc");
      });
    }
  });

  it("acknowledges SETTINGS (6.5.3) and PING (6.7), with the ping's bytes", async () => {
    await withClient(async (client) => {
      client.write(greeting, pingFrame(Buffer.from("12345678"), false));
      await client.until(() => client.frames.some((frame) => frame.type === ping));
      expect(client.frames.find((frame) => frame.type === ping)).toMatchObject({
        flags: 1,
        payload: Buffer.from("12345678"),
      });
      expect(client.frames.some((frame) => frame.type === settings && frame.flags === 1)).toBe(true);
    });
  });

  it("sends no more than both windows allow (6.9), and resumes when they grow", async () => {
    await withClient(async (client) => {
      server.responseBytes = 100_000;
      client.write(greeting, settingsFrame([[4, 10]]), open(1, both));
      await client.until(() => client.body(1).length === 10);
      client.write(anyFrame(windowUpdate, 0, 1, uint32(5)));
      await client.until(() => client.body(1).length === 15);
      // A change of the initial window applies to existing streams (6.9.2).
      client.write(settingsFrame([[4, 100_000]]));
      await client.until(() => client.body(1).length === 65_535);
      client.write(anyFrame(windowUpdate, 0, 0, uint32(1_000_000)), anyFrame(windowUpdate, 0, 1, uint32(1_000_000)));
      await client.until(() => client.ended(1));
      expect(client.body(1).length).toBe(100_000);
      expect(Math.max(...client.frames.map((frame) => frame.payload.length))).toBeLessThanOrEqual(16_384);
    });
    server.responseBytes = undefined;
  });

  it("A1: serves a response of 12 MB to a client that accepts frames of 16 MiB (6.5.2)", async () => {
    await withClient(async (client) => {
      server.responseBytes = 12_000_000;
      const settingsOfClient = settingsFrame([
        [4, 0x7fff_ffff],
        [5, 0xff_ffff],
      ]);
      client.write(greeting, settingsOfClient, anyFrame(windowUpdate, 0, 0, uint32(0x7fff_0000)), open(1, both));
      await client.until(() => client.ended(1));
      expect(client.receivedBytes(1)).toBe(12_000_000);
    });
    server.responseBytes = undefined;
  });

  it("shares the connection's window between waiting streams", async () => {
    await withClient(async (client) => {
      server.responseBytes = 200_000;
      client.write(greeting, settingsFrame([[4, 1_000_000]]), open(1, both), open(3, both));
      await client.until(() => client.body(1).length + client.body(3).length === 65_535);
      client.write(anyFrame(windowUpdate, 0, 0, uint32(100_000)));
      await client.until(() => client.body(1).length + client.body(3).length === 165_535);
      expect(client.body(3).length).toBeGreaterThan(30_000);
      client.write(anyFrame(windowUpdate, 0, 0, uint32(1_000_000)));
      await client.until(() => client.ended(1) && client.ended(3));
    });
    server.responseBytes = undefined;
  });

  it("credits stream and connection windows as it reads (6.9)", async () => {
    const small = await startEchoServer(host, { streamWindowBytes: 65_535, connectionWindowBytes: 100_000 });
    small.responseBytes = 0;
    const piece = (id: number): Buffer => anyFrame(data, 0, id, Buffer.alloc(16_000));
    await withClient(async (client) => {
      client.write(greeting, open(1), piece(1), piece(1), piece(1), piece(1));
      await client.until(() => client.frames.filter((frame) => frame.type === windowUpdate).length >= 3);
      expect(client.goawayCode).toBeUndefined();
    }, small.port);
    await small.close();
  });

  it("rejects streams above SETTINGS_MAX_CONCURRENT_STREAMS (5.1.2) and serves them when there is room", async () => {
    const small = await startEchoServer(host, { maxConcurrentStreams: 2 });
    await withClient(async (client) => {
      client.write(greeting, open(1), open(3), open(5));
      await client.until(() => client.resetCode(5) === ErrorCode.refusedStream);
      client.write(anyFrame(data, endStream, 1), anyFrame(data, endStream, 5, Buffer.of(1)), open(7, both));
      await client.until(() => client.ended(7));
    }, small.port);
    await small.close();
  });

  it("responds 431 to a field list above SETTINGS_MAX_HEADER_LIST_SIZE (10.5.1) and continues", async () => {
    const small = await startEchoServer(host, { maxHeaderListBytes: 400 });
    await withClient(async (client) => {
      // Twenty fields of one byte each by reference to the table: small on the wire, large as a field list.
      const large = Buffer.concat([head(), Buffer.from("4001780179", "hex"), Buffer.alloc(20, 0xbe)]);
      client.write(greeting, open(1, both, large), open(3, both));
      await client.until(() => client.ended(1) && client.ended(3));
      const first = client.frames.find((frame) => frame.streamId === 1);
      expect(first?.payload).toEqual(encodeStateless([[":status", "431"]]));
    }, small.port);
    await small.close();
  });

  it("ignores frames that were in flight when it reset the stream (5.1)", async () => {
    await withClient(async (client) => {
      client.write(greeting, open(1), anyFrame(windowUpdate, 0, 1, uint32(0)));
      await client.until(() => client.resetCode(1) !== undefined);
      client.write(anyFrame(data, 0, 1, Buffer.of(1)), anyFrame(rstStream, 0, 1, uint32(8)), open(3, both));
      await client.until(() => client.ended(3));
      expect(client.goawayCode).toBeUndefined();
    });
  });

  it("notifies streams of a reset and of the end of their connection", async () => {
    const before = server.aborted;
    await withClient(async (client) => {
      client.write(greeting, open(1), open(3), anyFrame(rstStream, 0, 1, uint32(8)), open(5, both));
      await client.until(() => client.ended(5));
      expect(server.aborted).toBe(before + 1);
    });
    await expect.poll(() => server.aborted).toBe(before + 2);
  });

  it("drains gracefully (6.8): serves streams in flight, rejects later ones, then closes", async () => {
    const draining = await startEchoServer(host);
    await withClient(async (client) => {
      client.write(greeting, open(1));
      await client.until(() => client.frames.some((frame) => frame.type === headers));
      for (const connection of draining.connections) connection.drain();
      await client.until(() => client.goawayCode === ErrorCode.noError);
      const asked = client.frames.find((frame) => frame.type === ping)!;
      // Stream 3 was in flight: it precedes the response to the ping.
      client.write(open(3), pingFrame(asked.payload, true), open(5));
      await client.until(() => client.resetCode(5) === ErrorCode.refusedStream);
      expect(client.frames.filter((frame) => frame.type === FrameType.goaway)).toHaveLength(2);
      client.write(anyFrame(data, endStream, 1, Buffer.of(1)), anyFrame(data, endStream, 3, Buffer.of(2)));
      await client.until(() => client.closed);
      expect([client.body(1)[0], client.body(3)[0]]).toEqual([1, 2]);
      expect(client.ended(1) && client.ended(3)).toBe(true);
    }, draining.port);
    await draining.close();
  });

  it("announces the shutdown (6.8) to a client that is connecting only after its preface", async () => {
    const draining = await startEchoServer(host);
    await withClient(async (client) => {
      client.write(clientPreface);
      await client.until(() => client.frames.some((frame) => frame.type === settings));
      for (const connection of draining.connections) connection.drain();
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(client.goawayCode).toBeUndefined();
      client.write(settingsFrame([]));
      await client.until(() => client.frames.some((frame) => frame.type === ping));
      const isAcknowledgement = ({ type, flags }: { type: number; flags: number }): boolean =>
        type === settings && flags === 1;
      const [acknowledgedAt, goawayAt] = [
        isAcknowledgement,
        ({ type }: { type: number }) => type === FrameType.goaway,
      ].map((matches) => client.frames.findIndex(matches));
      expect(acknowledgedAt).toBeGreaterThan(0);
      expect(goawayAt).toBeGreaterThan(acknowledgedAt!);
    }, draining.port);
    await draining.close();
  });

  const tight = { burst: 20, perSecond: 0 };
  const floods: readonly (readonly [string, () => Buffer])[] = [
    [
      "rapid resets",
      () =>
        Buffer.concat(
          Array.from({ length: 40 }, (_, i) =>
            Buffer.concat([open(i * 2 + 1), anyFrame(rstStream, 0, i * 2 + 1, uint32(8))]),
          ),
        ),
    ],
    [
      "resets it provokes from us",
      () =>
        Buffer.concat(
          Array.from({ length: 40 }, (_, i) =>
            Buffer.concat([open(i * 2 + 1), anyFrame(windowUpdate, 0, i * 2 + 1, uint32(0))]),
          ),
        ),
    ],
    ["settings", () => Buffer.concat(Array.from({ length: 40 }, () => settingsFrame([])))],
    ["empty DATA", () => Buffer.concat([open(1), ...Array.from({ length: 40 }, () => anyFrame(data, 0, 1))])],
    ["priorities", () => Buffer.concat(Array.from({ length: 40 }, () => anyFrame(priority, 0, 1, Buffer.alloc(5))))],
    ["unknown frames", () => Buffer.concat(Array.from({ length: 40 }, () => anyFrame(200, 0, 0)))],
    ["window updates", () => Buffer.concat(Array.from({ length: 40 }, () => anyFrame(windowUpdate, 0, 0, uint32(1))))],
    [
      "endless CONTINUATION frames",
      () => Buffer.concat([open(1, 0), ...Array.from({ length: 100 }, () => anyFrame(continuation, 0, 1))]),
    ],
    [
      "endless CONTINUATION bytes",
      () =>
        Buffer.concat([
          open(1, 0),
          ...Array.from({ length: 6 }, () => anyFrame(continuation, 0, 1, Buffer.alloc(16_000))),
        ]),
    ],
    [
      "pings (grpc-go's strikes)",
      () => Buffer.concat(Array.from({ length: 4 }, () => pingFrame(Buffer.alloc(8), false))),
    ],
  ];
  it.each(floods)("responds to a flood of %s with ENHANCE_YOUR_CALM (10.5)", async (_title, bytes) => {
    const strict = await startEchoServer(host, { flood: { resets: tight, control: tight, windowUpdates: tight } });
    await withClient(async (client) => {
      client.write(greeting, bytes());
      await client.until(() => client.goawayCode !== undefined);
      expect(client.goawayCode).toBe(ErrorCode.enhanceYourCalm);
    }, strict.port);
    await strict.close();
  });

  it("pings a silent client and drops it when it stays silent", async () => {
    const keepalive = { minTimeMs: 0, permitWithoutStream: true, intervalMs: 50, timeoutMs: 50 };
    const strict = await startEchoServer(host, {}, keepalive);
    await withClient(async (client) => {
      client.write(greeting);
      await client.until(() => client.frames.some((frame) => frame.type === ping && frame.flags === 0));
      await client.until(() => client.closed);
    }, strict.port);
    await strict.close();
  });

  it("tolerates GOAWAY from a client (6.8)", async () => {
    await withClient(async (client) => {
      client.write(greeting, goawayFrame(0, 0, "bye"), open(1, both));
      await client.until(() => client.ended(1));
    });
  });
});
