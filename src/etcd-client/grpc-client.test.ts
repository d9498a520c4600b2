import { afterEach, describe, expect, it } from "vitest";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import type { Method, ServerCall } from "../raft-agent/grpc/call.ts";
import { GrpcServer } from "../raft-agent/grpc/grpc-server.ts";
import { type ClientListener, listenForClients } from "../raft-agent/http2/client-listener.ts";
import { endpointUrl } from "./endpoint.ts";
import { connect, type GrpcClient } from "./grpc-client.ts";
import { statusName } from "./grpc-error.ts";

const host = "127.77.13.7";
const handle = (answer: (request: string, call: ServerCall) => void) => (request: Uint8Array, call: ServerCall) =>
  answer(Buffer.from(request).toString(), call);
const methods = (name: string): Method[] => [
  {
    kind: "unary",
    path: "/t.S/Name",
    handle: handle((request, call) => {
      call.send(Buffer.from(`${name} ${request} ${call.header("x-meta") ?? "-"}`));
      call.finish();
    }),
  },
  {
    kind: "unary",
    path: "/t.S/Fail",
    handle: handle((_request, call) => call.finish(StatusCode.notFound, "etcdserver: nothing – here")),
  },
  { kind: "unary", path: "/t.S/Unavailable", handle: handle((_, call) => call.finish(StatusCode.unavailable, name)) },
  { kind: "unary", path: "/t.S/Hang", handle: () => undefined },
  { kind: "unary", path: "/t.S/Empty", handle: handle((_request, call) => call.finish()) },
  {
    kind: "stream",
    path: "/t.S/Count",
    open: (call) => {
      let next = 0;
      let total = 0;
      const more = (): void => {
        while (next < total && call.open) if (!call.send(Buffer.alloc(3_000, next++))) return;
        if (total > 0) call.finish();
      };
      return {
        onMessage: (message) => {
          total = Number(Buffer.from(message).toString());
          more();
        },
        // Node's client half-closes a stream before it resets it.
        onHalfClose: () => undefined,
        onClose: () => undefined,
        onDrain: more,
      };
    },
  },
];

describe("grpc client", () => {
  const servers: { server: GrpcServer; listener: ClientListener }[] = [];
  const clients: GrpcClient[] = [];
  async function start(name: string): Promise<{ endpoint: string; stop: () => Promise<void>; server: GrpcServer }> {
    const server = new GrpcServer({ methods: methods(name) });
    const listener = await listenForClients({ host, port: 0, onHttp2: (socket) => server.accept(socket) });
    servers.push({ server, listener });
    const stop = async (): Promise<void> => {
      await listener.close();
      await server.shutdown(0);
    };
    return { endpoint: `${host}:${listener.port}`, stop, server };
  }
  function client(...endpoints: string[]): GrpcClient {
    const made = connect({ endpoints, connectTimeoutMs: 2_000 });
    clients.push(made);
    return made;
  }
  afterEach(async () => {
    for (const made of clients.splice(0)) await made.close();
    for (const { server, listener } of servers.splice(0)) {
      await listener.close();
      await server.shutdown(0);
    }
  });
  const text = async (answer: Promise<Buffer>): Promise<string> => (await answer).toString();

  it("calls with metadata and brings the answer", async () => {
    const { endpoint } = await start("a");
    const metadata = { "x-meta": "m" };
    expect(await text(client(endpoint).unary("/t.S/Name", Buffer.from("hi"), { metadata }))).toBe("a hi m");
  });

  it("throws the server's status", async () => {
    const { endpoint } = await start("a");
    const failing = client(endpoint).unary("/t.S/Fail", Buffer.alloc(0));
    await expect(failing).rejects.toMatchObject({ code: StatusCode.notFound, message: "etcdserver: nothing – here" });
    await expect(client(endpoint).unary("/t.S/Nope", Buffer.alloc(0))).rejects.toMatchObject({ code: 12 });
    await expect(client(endpoint).unary("/t.S/Empty", Buffer.alloc(0))).rejects.toMatchObject({ code: 13 });
    expect(statusName(StatusCode.failedPrecondition)).toBe("FAILED_PRECONDITION");
  });

  it("keeps deadlines and gives up when told to", async () => {
    const { endpoint } = await start("a");
    const late = client(endpoint).unary("/t.S/Hang", Buffer.alloc(0), { timeoutMs: 30 });
    await expect(late).rejects.toMatchObject({ code: StatusCode.deadlineExceeded });
    const signal = AbortSignal.timeout(30);
    const cancelled = client(endpoint).unary("/t.S/Hang", Buffer.alloc(0), { signal });
    await expect(cancelled).rejects.toMatchObject({ code: StatusCode.cancelled });
  });

  it("goes to the next endpoint when one takes no connections, and stays there", async () => {
    const [a, b] = [await start("a"), await start("b")];
    await a.stop();
    const made = client(a.endpoint, b.endpoint);
    expect(await text(made.unary("/t.S/Name", Buffer.from("1")))).toBe("b 1 -");
    expect(made.endpoint).toBe(b.endpoint);
    await b.stop();
    await expect(made.unary("/t.S/Name", Buffer.from("2"))).rejects.toMatchObject({ code: StatusCode.unavailable });
  });

  it("repeats a call whose fate is unknown only when it is idempotent", async () => {
    const [a, b] = [await start("a"), await start("b")];
    const made = client(a.endpoint, b.endpoint);
    const write = made.unary("/t.S/Unavailable", Buffer.alloc(0));
    await expect(write).rejects.toMatchObject({ message: "a" });
    // The failure moved the client on; an idempotent call goes round from there.
    const read = made.unary("/t.S/Unavailable", Buffer.alloc(0), { idempotent: true });
    await expect(read).rejects.toMatchObject({ message: "a" });
  });

  it("reads a long stream at its own pace, and cancels it by leaving the loop", async () => {
    const { endpoint, server } = await start("a");
    const made = client(endpoint);
    const stream = await made.stream("/t.S/Count");
    await stream.send(Buffer.from("2000"));
    let count = 0;
    for await (const message of stream) expect(message[0]).toBe(count++ % 256);
    expect(count).toBe(2_000);
    const left = await made.stream("/t.S/Count");
    await left.send(Buffer.from("100000"));
    for await (const message of left) if (message.length === 3_000) break;
    const counters = server.counters.find((method) => method.path === "/t.S/Count");
    await expect.poll(() => counters?.handled[StatusCode.cancelled]).toBe(1);
  });

  it("fails streams with UNAVAILABLE when the connection is lost", async () => {
    const { endpoint, stop } = await start("a");
    const stream = await client(endpoint).stream("/t.S/Count");
    const reading = (async () => {
      for await (const message of stream) expect(message).toBeUndefined();
    })();
    const lost = expect(reading).rejects.toMatchObject({ code: StatusCode.unavailable });
    await stop();
    await lost;
  });

  it("says what is wrong with an endpoint", () => {
    expect(() => connect({ endpoints: [] })).toThrow("No endpoints");
    expect(() => connect({ endpoints: ["ftp://x:1"] })).toThrow('Endpoint "ftp://x:1" is not valid: write host:port');
    expect(endpointUrl("10.0.0.1:2379", true).origin).toBe("https://10.0.0.1:2379");
  });
});
