/** Large responses of many calls and connections: how much of them is in memory, and which calls wait for which. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";
import { type ClientListener, listenForClients } from "../http2/client-listener.ts";
import type { MessageSource, Method, ServerCall } from "./call.ts";
import { GrpcServer, type GrpcServerOptions } from "./grpc-server.ts";

const host = "127.77.13.11";
const mebibyte = 1 << 20;
const largeWindow = { settings: { initialWindowSize: 0x7fff_ffff } };

/** A message of this many MiB, one at a time. */
class Zeros implements MessageSource {
  readonly #mib: number;
  #made = 0;

  constructor(mib: number) {
    this.#mib = mib;
  }

  expectedBytes(): number {
    return this.#mib * mebibyte;
  }

  next(): Uint8Array | null {
    return this.#made++ < this.#mib ? new Uint8Array(mebibyte) : null;
  }
}

function framed(mib: number): Buffer {
  return Buffer.from([0, 0, 0, 0, 1, mib]);
}

type Answer = { readonly bytes: number; readonly status: string; readonly message: string };

describe("large responses", () => {
  const seen = { begun: 0, mostBytes: 0 };
  const large: Method = {
    kind: "unary",
    path: "/t.Service/Large",
    handle: (request, call) => {
      const mib = request[0]!;
      const begin = (): void => {
        seen.begun++;
        seen.mostBytes = Math.max(seen.mostBytes, server.memory.usedBytes);
        call.pacing!.sendFrom(new Zeros(mib));
      };
      if (call.pacing!.hasRoomForLarge) begin();
      else call.pacing!.whenRoom(request.length, begin);
    },
  };
  const small: Method = {
    kind: "unary",
    path: "/t.Service/Small",
    handle: (request, call) => answerSmall(request.slice(), call),
  };
  /** Like a watch: one piece, and the next one once the client has taken it. */
  const stream: Method = {
    kind: "stream",
    path: "/t.Service/Stream",
    open: (call) => ({
      onMessage: () => call.send(new Uint8Array(mebibyte)),
      onHalfClose: () => {},
      onClose: () => {},
      onDrain: () => {},
    }),
  };
  function answerSmall(message: Uint8Array, call: ServerCall): void {
    const answer = (): void => {
      call.send(message);
      call.finish();
    };
    if (call.pacing!.hasRoom) answer();
    else call.pacing!.whenRoom(message.length, answer);
  }

  let server: GrpcServer;
  let listener: ClientListener;
  const clients: ClientHttp2Session[] = [];
  async function start(options: Partial<GrpcServerOptions> = {}): Promise<void> {
    seen.begun = 0;
    seen.mostBytes = 0;
    server = new GrpcServer({ methods: [large, small, stream], ...options });
    listener = await listenForClients({ host, port: 0, onHttp2: (socket) => server.accept(socket) });
  }
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await listener.close();
    await server.shutdown(0);
  });

  function connected(): ClientHttp2Session {
    const client = connect(`http://${host}:${listener.port}`, largeWindow);
    client.on("error", () => undefined);
    client.on("connect", () => client.setLocalWindowSize(0x7fff_ffff));
    clients.push(client);
    return client;
  }
  function call(client: ClientHttp2Session, method: Method, body: Buffer): ClientHttp2Stream {
    const fixed = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
    const stream = client.request({ ...fixed, ":path": method.path });
    stream.on("error", () => undefined);
    stream.end(body);
    return stream;
  }
  async function read(stream: ClientHttp2Stream): Promise<Answer> {
    let bytes = 0;
    const fields: Record<string, unknown> = {};
    stream.on("response", (head) => Object.assign(fields, head));
    stream.on("trailers", (trailers) => Object.assign(fields, trailers));
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await new Promise((resolve) => stream.once("close", resolve));
    return { bytes, status: String(fields["grpc-status"]), message: String(fields["grpc-message"] ?? "") };
  }
  /** Calls whose responses are never read: their windows stay closed. */
  function unread(mib: number, count: number): { client: ClientHttp2Session; calls: ClientHttp2Stream[] } {
    const client = connect(`http://${host}:${listener.port}`);
    client.on("error", () => undefined);
    clients.push(client);
    return { client, calls: Array.from({ length: count }, () => call(client, large, framed(mib))) };
  }

  it("A6: arrive complete and one after the other, however many are requested at once", async () => {
    await start();
    const client = connected();
    const answers = await Promise.all(Array.from({ length: 30 }, () => read(call(client, large, framed(8)))));
    expect(answers).toEqual(Array(30).fill({ bytes: 8 * mebibyte + 5, status: "0", message: "" }));
    // One being read, one being built, and the output.
    expect(seen.mostBytes).toBeLessThan(20 * mebibyte);
    await expect.poll(() => server.memory.usedBytes).toBe(0);
  });

  it("A6: wait as requests while the client does not read, without delaying small ones of others", async () => {
    await start();
    const { client } = unread(8, 300);
    await expect.poll(() => server.memory.waitingBytes).toBeGreaterThan(4 * mebibyte);
    const startMs = performance.now();
    expect((await read(call(connected(), small, framed(1)))).status).toBe("0");
    expect(performance.now() - startMs).toBeLessThan(1_000);
    expect([seen.begun < 5, server.memory.usedBytes < 20 * mebibyte]).toEqual([true, true]);
    client.destroy();
    await expect.poll(() => server.memory.usedBytes).toBe(0);
  });

  it("A6: are overtaken by small responses of their own connection", async () => {
    await start();
    const client = connected();
    const slow = call(client, large, framed(40));
    await new Promise((resolve) => slow.once("response", resolve));
    expect((await read(call(client, small, framed(1)))).status).toBe("0");
    expect(slow.closed).toBe(false);
  });

  it("A6: do not wait for stalled streams, which count all the same", async () => {
    await start();
    const { client } = unread(1, 0);
    await new Promise((resolve) => client.once("remoteSettings", resolve));
    client.setLocalWindowSize(0x7fff_ffff);
    const streams = Array.from({ length: 6 }, () => call(client, stream, framed(1)));
    await expect.poll(() => server.memory.waitingBytes).toBeGreaterThan(4 * mebibyte);
    expect((await read(call(client, large, framed(8)))).bytes).toBe(8 * mebibyte + 5);
    expect(server.memory.waitingBytes).toBeGreaterThan(4 * mebibyte);
    for (const one of streams) one.close(constants.NGHTTP2_CANCEL);
    await expect.poll(() => server.memory.waitingBytes).toBe(0);
  });

  it("A6: of many silent connections stay below the common limit, which closes the slowest connections", async () => {
    const cutOff: number[] = [];
    await start({ maxResponseBytes: 64 * mebibyte, onCutOff: (_address, heldBytes) => cutOff.push(heldBytes) });
    for (let at = 0; at < 20; at++) unread(8, 1);
    await expect.poll(() => seen.begun).toBe(20);
    await expect.poll(() => cutOff.length, { timeout: 10_000 }).toBeGreaterThan(10);
    expect(server.memory.usedBytes).toBeLessThanOrEqual(64 * mebibyte);
    expect(server.cutOffTotal).toBe(cutOff.length);
    // A client that reads is served among them.
    expect((await read(call(connected(), large, framed(16)))).bytes).toBe(16 * mebibyte + 5);
  });

  it("A6: that can never fit are rejected with a reason", async () => {
    await start({ maxResponseBytes: 16 * mebibyte });
    const { status, message } = await read(call(connected(), large, framed(17)));
    expect([status, decodeURIComponent(message)]).toEqual(["8", expect.stringContaining("request less at a time")]);
    expect(server.memory.usedBytes).toBe(0);
  });

  it("A6: are dropped when their calls are cancelled, and make room for others", async () => {
    await start();
    const { client, calls } = unread(8, 10);
    await expect.poll(() => server.memory.waitingBytes).toBeGreaterThan(4 * mebibyte);
    for (const one of calls) one.close(constants.NGHTTP2_CANCEL);
    await expect.poll(() => server.memory.waitingBytes).toBe(0);
    expect((await read(call(client, large, framed(2)))).bytes).toBe(2 * mebibyte + 5);
  });

  it("A6: wait in as many requests as a connection may leave unfinished; more are rejected", async () => {
    await start({ maxBufferedBytes: 20_000 });
    const { calls } = unread(8, 30);
    const rejected = await Promise.all(calls.slice(-5).map(read));
    const message = "too many unfinished requests on this connection";
    expect(rejected).toEqual(Array(5).fill({ bytes: 0, status: "8", message }));
    const waiting = calls.slice(0, 10).map(read);
    expect((await Promise.all(waiting)).map(({ bytes }) => bytes)).toEqual(Array(10).fill(8 * mebibyte + 5));
  });
});
