/** A client that sends requests and does not read: its queue is bounded within one turn, and counted to the byte. */
import { afterEach, describe, expect, it } from "vitest";
import { anyFrame, greeting, openPost, RawClient } from "../../../test/support/raw-client.ts";
import { type EchoServer, startEchoServer } from "./echo-server.fixture.ts";
import { FrameType, settingsFrame } from "./frame.ts";
import { ResponseMemory } from "./response-memory.ts";

const host = "127.77.13.10";
const mib = 1 << 20;

describe("unread responses", () => {
  let server: EchoServer | undefined;
  const clients: RawClient[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await server?.close();
  });
  async function ask(client: RawClient, count: number): Promise<void> {
    client.write(...Array.from({ length: count }, (_, at) => openPost(2 * at + 1)));
    await client.until(() => true);
  }
  async function connected(port: number): Promise<RawClient> {
    const client = await RawClient.connect(host, port);
    clients.push(client);
    client.write(greeting);
    await client.until(() => client.frames.length > 0);
    return client;
  }

  it("A6: close the connection within the turn in which they reach its limit, and leave nothing behind", async () => {
    const memory = new ResponseMemory();
    server = await startEchoServer(host, { maxQueuedBytes: 4 * mib }, undefined, {}, { memory });
    server.responseBytes = mib;
    let mostBytes = 0;
    server.onResponse = () => (mostBytes = Math.max(mostBytes, memory.usedBytes));
    const client = await connected(server.port);
    await ask(client, 300);
    await client.until(() => client.closed);
    // One response above the limit, and the size of the output.
    expect(mostBytes).toBeLessThanOrEqual(6.5 * mib);
    await expect.poll(() => [memory.usedBytes, server!.cutOff]).toEqual([0, 1]);
  });

  it("A6: close the connection that holds most when all together reach the server's limit", async () => {
    const memory = new ResponseMemory(16 * mib);
    server = await startEchoServer(host, {}, undefined, {}, { memory });
    const patient = await connected(server.port);
    server.responseBytes = 2 * mib;
    await ask(patient, 1);
    await expect.poll(() => memory.waitingBytes).toBe(2 * mib);
    server.responseBytes = mib;
    const greedy = await connected(server.port);
    await ask(greedy, 300);
    await greedy.until(() => greedy.closed);
    expect([patient.closed, server.cutOff, memory.waitingBytes]).toEqual([false, 1, 2 * mib]);
  });

  it("A6: are compared by the client's speed: a trickle is slower than a large response being read", async () => {
    server = await startEchoServer(host);
    const windows = { trickling: 1, steady: 400_000 };
    const seconds: number[] = [];
    for (const [bytes, increment] of [[2 * mib, windows.trickling] as const, [64 * mib, windows.steady] as const]) {
      server.responseBytes = bytes;
      const client = await connected(server.port);
      await ask(client, 1);
      const reading = setInterval(() => client.write(moreWindow(0, increment), moreWindow(1, increment)), 50);
      const [connection] = [...server.connections].slice(-1);
      await expect.poll(() => connection!.sender.queue.secondsToRead, { timeout: 5_000 }).toBeGreaterThan(0);
      clearInterval(reading);
      seconds.push(connection!.sender.queue.secondsToRead);
      expect(connection!.sender.queue.waitingBytes).toBeGreaterThan(mib);
    }
    expect(seconds[0]).toBeGreaterThan(seconds[1]!);
  });

  it("A6: are released by reading, by resets, by new windows and by the end of the connection", async () => {
    const memory = new ResponseMemory();
    server = await startEchoServer(host, {}, undefined, {}, { memory });
    server.responseBytes = 300_000;
    for (let round = 0; round < 4; round++) {
      const client = await connected(server.port);
      await ask(client, 10);
      await expect.poll(() => memory.waitingBytes).toBeGreaterThan(2_000_000);
      if (round === 1) client.write(...[1, 5, 9].map((id) => anyFrame(FrameType.rstStream, 0, id, Buffer.alloc(4))));
      if (round === 2) client.write(settingsFrame([[4, 1_000_000]]), anyFrame(FrameType.windowUpdate, 0, 0, credit));
      if (round === 3) client.write(anyFrame(FrameType.windowUpdate, 0, 0, Buffer.alloc(4)));
      if (round === 2) await client.until(() => client.ended(19));
      client.destroy();
      await expect.poll(() => memory.usedBytes).toBe(0);
    }
  });
});

function moreWindow(streamId: number, increment: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(increment);
  return anyFrame(FrameType.windowUpdate, 0, streamId, bytes);
}

const credit = Buffer.from([0x0f, 0, 0, 0]);
