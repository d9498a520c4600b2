import { spawnSync } from "node:child_process";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { gzipSync } from "node:zlib";
import { execa } from "execa";
import { afterEach, describe, expect, it } from "vitest";
import { anyFrame, greeting, RawClient } from "../../../test/support/raw-client.ts";
import { StatusCode } from "../api/status-code.ts";
import { type ClientListener, listenForClients } from "../http2/client-listener.ts";
import { ErrorCode, FrameType } from "../http2/frame.ts";
import type { Method, ServerCall, StreamHandler } from "./call.ts";
import { GrpcServer, type GrpcServerOptions } from "./grpc-server.ts";
import { decodeStatusMessage } from "./status-message.ts";

const host = "127.77.13.6";

function framed(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

type Answer = { status: number; code: number; message: string; body: Buffer; headers: IncomingHttpHeaders };

/** What the stream methods below saw, in order. */
const events: string[] = [];
const echo: Method = {
  kind: "unary",
  path: "/t.Service/Echo",
  handle: (request, call) => {
    call.send(request);
    call.finish();
  },
};
const chat: Method = {
  kind: "stream",
  path: "/t.Service/Chat",
  open: (call): StreamHandler => ({
    onMessage: (message) => {
      const text = Buffer.from(message).toString();
      events.push(`message ${text}`);
      call.send(message);
      if (text === "stop") call.finish(StatusCode.aborted, "stopped");
      events.push("handled");
    },
    onHalfClose: () => {
      events.push("half-close");
      call.finish();
    },
    onClose: () => events.push("close"),
    onDrain: () => events.push("drain"),
  }),
};

describe("grpc server", () => {
  const opened: { server: GrpcServer; listener: ClientListener; client: ClientHttp2Session }[] = [];
  async function start(
    options: Partial<GrpcServerOptions> = {},
    clientOptions: Parameters<typeof connect>[1] = {},
  ): Promise<{ server: GrpcServer; client: ClientHttp2Session; port: number }> {
    events.length = 0;
    const server = new GrpcServer({ methods: [echo, chat], ...options });
    const listener = await listenForClients({ host, port: 0, onHttp2: (socket) => server.accept(socket) });
    const client = connect(`http://${host}:${listener.port}`, clientOptions);
    client.on("error", () => undefined);
    opened.push({ server, listener, client });
    return { server, client, port: listener.port };
  }
  afterEach(async () => {
    for (const { server, listener, client } of opened.splice(0)) {
      client.destroy();
      await listener.close();
      await server.shutdown(0);
    }
  });

  function request(client: ClientHttp2Session, path: string, headers: Record<string, string> = {}): ClientHttp2Stream {
    const fixed = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    return client.request({ ...fixed, ...headers });
  }
  async function answer(stream: ClientHttp2Stream): Promise<Answer> {
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (fields) => (headers = fields));
    stream.on("trailers", (fields) => (trailers = fields));
    stream.on("error", () => undefined);
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => stream.once("close", resolve));
    const field = (name: string): string => String(trailers[name] ?? headers[name] ?? "");
    return {
      status: Number(headers[":status"]),
      code: Number(field("grpc-status") || -1),
      message: decodeStatusMessage(field("grpc-message")),
      body: Buffer.concat(chunks),
      headers,
    };
  }
  async function unary(
    client: ClientHttp2Session,
    body: Buffer,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const stream = request(client, echo.path, headers);
    stream.end(body);
    return answer(stream);
  }

  it("responds to a unary call with one message and status 0", async () => {
    const { client, server } = await start();
    const { status, code, body, headers } = await unary(client, framed(Buffer.from("hello")));
    expect([status, code, headers["content-type"]]).toEqual([200, 0, "application/grpc"]);
    expect(body).toEqual(framed(Buffer.from("hello")));
    expect(server.counters[0]).toMatchObject({
      started: 1,
      messagesReceived: 1,
      messagesSent: 1,
      bytesReceived: 5,
      bytesSent: 5,
    });
    expect(server.counters[0]?.handled[0]).toBe(1);
  });

  it("assembles messages that arrive in pieces, and splits those that arrive in one frame", async () => {
    const { client } = await start();
    const large = Buffer.alloc(1_500_000, 5);
    expect((await unary(client, framed(large))).body.subarray(5).equals(large)).toBe(true);
    const slow = request(client, echo.path);
    for (const byte of framed(Buffer.from("slow"))) {
      slow.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    slow.end();
    expect((await answer(slow)).body).toEqual(framed(Buffer.from("slow")));
    const many = request(client, chat.path);
    many.end(Buffer.concat(["a", "bb", "", "ccc"].map((text) => framed(Buffer.from(text)))));
    const { body, code } = await answer(many);
    expect(code).toBe(0);
    expect(body).toEqual(Buffer.concat(["a", "bb", "", "ccc"].map((text) => framed(Buffer.from(text)))));
    expect(events.filter((event) => event.startsWith("message"))).toEqual([
      "message a",
      "message bb",
      "message ",
      "message ccc",
    ]);
  });

  const rejections: readonly (readonly [string, string, Record<string, string>, number, number, string])[] = [
    ["an unknown service", "/x.Y/Z", {}, 200, 12, "unknown service x.Y"],
    ["an unknown method", "/t.Service/Nope", {}, 200, 12, "unknown method Nope for service t.Service"],
    ["a path without a method", "/nothing", {}, 200, 12, 'malformed method name: "/nothing"'],
    [
      "another content-type",
      "/t.Service/Echo",
      { "content-type": "application/json" },
      415,
      3,
      'invalid gRPC request content-type "application/json"',
    ],
    [
      "a method other than POST",
      "/t.Service/Echo",
      { ":method": "GET" },
      405,
      13,
      ':method is "GET", which should be POST',
    ],
    ["a malformed timeout", "/t.Service/Echo", { "grpc-timeout": "1x" }, 400, 13, 'malformed grpc-timeout: "1x"'],
    [
      "an unknown encoding",
      "/t.Service/Echo",
      { "grpc-encoding": "snappy" },
      200,
      12,
      'grpc: Decompressor is not installed for grpc-encoding "snappy"',
    ],
  ];
  it.each(rejections)("rejects %s", async (_title, path, headers, status, code, message) => {
    const { client } = await start();
    const stream = request(client, path, headers);
    stream.end(framed(Buffer.from("x")));
    const answered = await answer(stream);
    expect([answered.status, answered.code, answered.message]).toEqual([status, code, message]);
  });

  const badBodies: readonly (readonly [string, Buffer, Record<string, string>, number, string])[] = [
    [
      "a message above the limit",
      framed(Buffer.alloc(1_001)),
      {},
      8,
      "grpc: received message larger than max (1001 vs. 1000)",
    ],
    [
      "a length above the limit, before its bytes",
      Buffer.from("000000ffff", "hex"),
      {},
      8,
      "grpc: received message larger than max (65535 vs. 1000)",
    ],
    ["no message", Buffer.alloc(0), {}, 13, "cardinality violation: no request message for a unary call"],
    [
      "two messages",
      Buffer.concat([framed(Buffer.of(1)), framed(Buffer.of(2))]),
      {},
      13,
      "cardinality violation: more than one request message for a unary call",
    ],
    ["half a message", framed(Buffer.alloc(9)).subarray(0, 8), {}, 13, "unexpected EOF"],
    [
      "unannounced compression",
      framed(gzipSync("x"), 1),
      {},
      13,
      "grpc: compressed flag set with identity or empty encoding",
    ],
    ["an unknown flag", framed(Buffer.of(1), 2), {}, 13, "grpc: received unexpected payload format 2"],
    [
      "a message that grows above the limit",
      framed(gzipSync(Buffer.alloc(5_000)), 1),
      { "grpc-encoding": "gzip" },
      8,
      "grpc: received message after decompression larger than max (1001 vs. 1000)",
    ],
  ];
  it.each(badBodies)("rejects %s", async (_title, body, headers, code, message) => {
    const { client } = await start({ maxReceiveBytes: 1_000 });
    const answered = await unary(client, body, headers);
    expect([answered.code, answered.message]).toEqual([code, message]);
  });

  it("decodes gzip", async () => {
    const { client } = await start();
    const answered = await unary(client, framed(gzipSync("packed"), 1), { "grpc-encoding": "gzip" });
    expect(answered.body).toEqual(framed(Buffer.from("packed")));
  });

  it("passes the headers of a call to services, -bin ones unchanged", async () => {
    let seen: (string | undefined)[] = [];
    const handle = (_request: Uint8Array, call: ServerCall): void => {
      seen = [call.header("token"), call.header("trace-bin"), call.header("absent"), call.path];
      call.finish(StatusCode.permissionDenied, "etcdserver: permission denied – 100 %");
    };
    const { client } = await start({ methods: [{ kind: "unary", path: echo.path, handle }] });
    const answered = await unary(client, framed(Buffer.of()), { token: "t", "trace-bin": "AAEC" });
    expect(seen).toEqual(["t", "AAEC", undefined, echo.path]);
    expect([answered.code, answered.message]).toEqual([7, "etcdserver: permission denied – 100 %"]);
  });

  it("ends calls at their deadline and notifies the service", async () => {
    let call: ServerCall | undefined;
    let closes = 0;
    const handle = (_request: Uint8Array, open: ServerCall): void => {
      call = open;
    };
    const { client, server } = await start({
      methods: [{ kind: "unary", path: echo.path, handle, onClose: () => closes++ }],
    });
    const answered = await unary(client, framed(Buffer.of()), { "grpc-timeout": "20m" });
    expect([answered.code, answered.message]).toEqual([4, "context deadline exceeded"]);
    expect([call?.open, closes]).toEqual([false, 1]);
    call?.send(Buffer.of(1));
    call?.finish();
    expect(server.counters[0]?.handled[StatusCode.deadlineExceeded]).toBe(1);
    expect(server.counters[0]?.messagesSent).toBe(0);
  });

  it("notifies a stream of each message, the half-close and the end, never nested", async () => {
    const { client } = await start();
    const stream = request(client, chat.path);
    stream.end(Buffer.concat([framed(Buffer.from("one")), framed(Buffer.from("stop")), framed(Buffer.from("late"))]));
    const { code, message } = await answer(stream);
    expect([code, message]).toEqual([10, "stopped"]);
    expect(events).toEqual(["message one", "handled", "message stop", "handled", "close"]);
  });

  it("notifies a stream of the client's cancel, and of its connection's end", async () => {
    const { client, server } = await start();
    const first = request(client, chat.path);
    first.on("error", () => undefined);
    first.write(framed(Buffer.from("x")));
    await new Promise((resolve) => first.once("response", resolve));
    first.close(constants.NGHTTP2_CANCEL);
    await expect.poll(() => events.at(-1)).toBe("close");
    const second = request(client, chat.path);
    second.on("error", () => undefined);
    second.write(framed(Buffer.from("x")));
    await new Promise((resolve) => second.once("response", resolve));
    client.destroy();
    await expect.poll(() => events.filter((event) => event === "close").length).toBe(2);
    expect(server.counters[1]?.handled[StatusCode.cancelled]).toBeGreaterThan(0);
    await expect.poll(() => server.connectionCount).toBe(0);
  });

  it("reports when a stream's peer is slow and when it has caught up", async () => {
    const sent: boolean[] = [];
    let drains = 0;
    const feed: Method = {
      kind: "stream",
      path: "/t.Service/Feed",
      open: (call) => {
        const more = (): void => {
          for (let ready = true; ready && sent.length < 60; sent.push(ready)) ready = call.send(Buffer.alloc(10_000));
          if (sent.length === 60) call.finish();
        };
        more();
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onClose: () => undefined,
          onDrain: () => {
            drains++;
            more();
          },
        };
      },
    };
    const { client } = await start({ methods: [feed] });
    const stream = request(client, feed.path);
    stream.end();
    const { body, code } = await answer(stream);
    expect([code, body.length]).toEqual([0, 60 * 10_005]);
    expect(drains).toBeGreaterThan(0);
    expect(sent.filter((ready) => !ready).length).toBe(drains);
  });

  it("rejects unfinished messages above the limit", async () => {
    const { client } = await start({ maxBufferedBytes: 100_000 });
    const streams = Array.from({ length: 4 }, () => request(client, echo.path));
    const answers = streams.map((stream) => answer(stream));
    for (const stream of streams) stream.write(framed(Buffer.alloc(60_000)).subarray(0, 50_000));
    expect(await Promise.race(answers)).toMatchObject({
      code: 8,
      message: "too many unfinished requests on this connection",
    });
    // Node 20's client does not return from closing a stream inside another stream's close event.
    await new Promise((resolve) => setImmediate(resolve));
    client.destroy();
    await Promise.all(answers);
  });

  it("reports a service that throws, and responds INTERNAL", async () => {
    const errors: unknown[] = [];
    const broken: Method = {
      kind: "unary",
      path: "/t.Service/Broken",
      handle: () => {
        throw new Error("bug");
      },
    };
    const { client } = await start({ methods: [broken], onHandlerError: (error) => errors.push(error) });
    const stream = request(client, broken.path);
    stream.end(framed(Buffer.of()));
    expect((await answer(stream)).code).toBe(13);
    expect(errors).toEqual([new Error("bug")]);
  });

  it("shuts down when the calls in flight are done", async () => {
    const { client, server } = await start();
    const stream = request(client, chat.path);
    stream.write(framed(Buffer.from("x")));
    await new Promise((resolve) => stream.once("response", resolve));
    const down = server.shutdown(5_000);
    await new Promise((resolve) => client.once("goaway", resolve));
    stream.end();
    expect((await answer(stream)).code).toBe(0);
    await down;
    expect(server.connectionCount).toBe(0);
  });

  it("lets a client that connects while clients are drained stay for a moment, then drains it", async () => {
    const { server, port } = await start();
    server.drainClients();
    const late = await RawClient.connect(host, port);
    late.write(greeting, anyFrame(FrameType.ping, 0, 0, Buffer.alloc(8)));
    await late.until(() => late.pingAcks === 1);
    expect(late.goawayCode).toBeUndefined();
    await late.until(() => late.goawayCode === ErrorCode.noError);
    late.destroy();
  });

  it("drains a client that connects while the server is stopping at once", async () => {
    const { server, port } = await start();
    server.drain();
    const late = await RawClient.connect(host, port);
    late.write(greeting, anyFrame(FrameType.ping, 0, 0, Buffer.alloc(8)));
    await late.until(() => late.pingAcks === 1);
    expect(late.goawayCode).toBe(ErrorCode.noError);
    late.destroy();
  });

  it("lets clients stay again once draining is called off", async () => {
    const { server, port } = await start();
    server.drainClients();
    server.stopDraining();
    const next = connect(`http://${host}:${port}`);
    next.on("error", () => undefined);
    const goaway = new Promise((resolve) => next.once("goaway", () => resolve("goaway")));
    const stayed = new Promise((resolve) => setTimeout(() => resolve("stayed"), 400));
    expect(await Promise.race([goaway, stayed])).toBe("stayed");
    next.destroy();
  });

  it("rejects a table with a malformed or duplicate path", () => {
    expect(() => new GrpcServer({ methods: [{ ...echo, path: "Echo" }] })).toThrow("is not");
    expect(() => new GrpcServer({ methods: [echo, echo] })).toThrow("twice");
  });

  const hasEtcdctl = spawnSync("etcdctl", ["version"]).status === 0;
  it.skipIf(!hasEtcdctl)("is understood by grpc-go (etcdctl put, watch)", async () => {
    const seen: string[] = [];
    const put: Method = {
      kind: "unary",
      path: "/etcdserverpb.KV/Put",
      handle: (message, call) => {
        seen.push(Buffer.from(message).toString("latin1"), String(call.header("user-agent")?.startsWith("grpc-go/")));
        if (message.length > 100) call.finish(StatusCode.resourceExhausted, "etcdserver: too long – for a test");
        else {
          call.send(Buffer.alloc(0));
          call.finish();
        }
      },
    };
    const { port } = await start({ methods: [put] });
    const etcdctl = (...args: string[]): Promise<string> =>
      new Promise((resolve) => {
        import("node:child_process").then(({ execFile }) =>
          execFile(
            "etcdctl",
            [`--endpoints=${host}:${port}`, "--command-timeout=5s", ...args],
            { env: { ...process.env, ETCDCTL_API: "3" } },
            (_error, stdout, stderr) => resolve(stdout + stderr),
          ),
        );
      });
    expect(await etcdctl("put", "key", "value")).toBe("OK\n");
    expect(seen).toEqual(["\n\x03key\x12\x05value", "true"]);
    expect(await etcdctl("put", "key", "v".repeat(200))).toContain("etcdserver: too long – for a test");
    expect(await etcdctl("get", "key")).toContain("unknown method Range for service etcdserverpb.KV");
  });

  const hasH2load = spawnSync("h2load", ["--version"]).status === 0;
  it.skipIf(!hasH2load)("is understood by h2load", async () => {
    const { port } = await start();
    const { stdout } = await execa("h2load", ["-n", "100", "-c", "2", `http://${host}:${port}/`]);
    expect(stdout).toContain("100 total");
  });
});
