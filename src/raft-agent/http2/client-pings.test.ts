/**
 * grpc's keepalive enforcement (grpc-go, internal/transport/http2_server.go): a ping is no violation when DATA or
 * HEADERS were written since the last one, in whatever way they were sent. A grpc-go client measures its bandwidth
 * with one ping for each round trip in which data arrives.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anyFrame, greeting, openPost, RawClient } from "../../../test/support/raw-client.ts";
import { type EchoServer, startEchoServer } from "./echo-server.fixture.ts";
import { ErrorCode, FrameType, pingFrame, settingsFrame, writeUint32 } from "./frame.ts";

const host = "127.77.13.9";
const pingsOfAFlood = 4;
const credit = (streamId: number, increment: number): Buffer => {
  const bytes = Buffer.alloc(4);
  writeUint32(bytes, 0, increment);
  return anyFrame(FrameType.windowUpdate, 0, streamId, bytes);
};
const initialWindow = (bytes: number): Buffer => settingsFrame([[4, bytes]]);
const largeWindows = Buffer.concat([initialWindow(0x7fff_ffff), credit(0, 0x7fff_0000)]);

/** Reads the stream to its end with a ping for each round trip in which data arrived; returns the number of pings. */
async function readWithPings(client: RawClient, streamId: number, onRound: () => Uint8Array[]): Promise<number> {
  let pings = 0;
  let seenBytes = 0;
  while (!client.ended(streamId)) {
    await client.until(() => client.receivedBytes(streamId) > seenBytes || client.ended(streamId));
    if (client.ended(streamId)) break;
    seenBytes = client.receivedBytes(streamId);
    pings++;
    client.write(pingFrame(Buffer.alloc(8, pings), false), ...onRound());
    await client.until(() => client.pingAcks === pings);
  }
  return pings;
}

describe("pings of clients", () => {
  let server: EchoServer;
  beforeAll(async () => {
    server = await startEchoServer(host);
  });
  afterAll(() => server.close());

  async function withClient(run: (client: RawClient) => Promise<void>): Promise<void> {
    const client = await RawClient.connect(host, server.port);
    try {
      await run(client);
    } finally {
      server.responseBytes = undefined;
      client.destroy();
    }
  }

  const ways: readonly (readonly [title: string, bytes: number, opening: Buffer, onRound: () => Buffer[]])[] = [
    ["directly, frame by frame", 60_000, initialWindow(0x7fff_ffff), () => []],
    [
      "from the queue, as the client's windows grow",
      1_400_000,
      Buffer.alloc(0),
      () => [credit(0, 40_000), credit(1, 40_000)],
    ],
    ["from the queue, as the stream's window grows", 700_000, credit(0, 1_000_000), () => [credit(1, 40_000)]],
    ["from the queue, as the connection's window grows", 700_000, initialWindow(1_000_000), () => [credit(0, 40_000)]],
    ["from the queue, as the socket drains", 40_000_000, largeWindows, () => []],
  ];
  it.each(ways)("A1: are accepted while data is sent %s", async (_way, bytes, opening, onRound) => {
    await withClient(async (client) => {
      server.responseBytes = bytes;
      client.write(greeting, opening, openPost(1));
      await readWithPings(client, 1, onRound);
      expect(client.goawayCode).toBeUndefined();
      expect(client.receivedBytes(1)).toBe(bytes);
    });
  });

  it("A1: are accepted while a change of the initial window admits data", async () => {
    await withClient(async (client) => {
      server.responseBytes = 60_000;
      let window = 5_000;
      client.write(greeting, initialWindow(window), openPost(1));
      const pings = await readWithPings(client, 1, () => [initialWindow((window += 5_000))]);
      expect([client.goawayCode, pings > pingsOfAFlood]).toEqual([undefined, true]);
    });
  });

  it("A1: are answered while the client reads nothing, in order of arrival", async () => {
    await withClient(async (client) => {
      server.responseBytes = 30_000_000;
      client.write(greeting, largeWindows, openPost(1));
      await client.until(() => client.receivedBytes(1) > 0);
      client.pause();
      client.write(pingFrame(Buffer.from("first   "), false));
      client.write(pingFrame(Buffer.from("second  "), false));
      await new Promise((resolve) => setTimeout(resolve, 50));
      client.resume();
      await client.until(() => client.ended(1) && client.pingAcks === 2);
      const acks = client.frames.filter(({ type }) => type === FrameType.ping).map(({ payload }) => String(payload));
      expect([acks, client.goawayCode]).toEqual([["first   ", "second  "], undefined]);
    });
  });

  const offenses: readonly (readonly [title: string, before: Buffer])[] = [
    ["without a stream", Buffer.alloc(0)],
    ["with a stream whose response waits for a window", Buffer.concat([initialWindow(0), openPost(1)])],
  ];
  it.each(offenses)("A1: close the connection when nothing was sent between them, %s", async (_title, before) => {
    await withClient(async (client) => {
      server.responseBytes = 100;
      client.write(greeting, before);
      for (let ping = 0; ping <= pingsOfAFlood; ping++) client.write(pingFrame(Buffer.alloc(8), false));
      await client.until(() => client.goawayCode !== undefined);
      expect(client.goawayCode).toBe(ErrorCode.enhanceYourCalm);
    });
  });

  it("A1: close the connection when the queued data was never sent", async () => {
    await withClient(async (client) => {
      server.responseBytes = 1_000_000;
      client.write(greeting, openPost(1));
      // Everything the windows admit has arrived; what is still queued does not count.
      await client.until(() => client.receivedBytes(1) === 65_535);
      for (let ping = 0; ping <= pingsOfAFlood; ping++) client.write(pingFrame(Buffer.alloc(8), false));
      await client.until(() => client.goawayCode !== undefined);
      expect(client.goawayCode).toBe(ErrorCode.enhanceYourCalm);
    });
  });
});
