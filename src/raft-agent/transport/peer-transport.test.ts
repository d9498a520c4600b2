import { createServer as createHttpServer, get } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { HaplanError } from "../../base/haplan-error.ts";
import { createRandom } from "../../base/random.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { Message } from "../raft/message.ts";
import { encodeHello, Purpose } from "./handshake.ts";
import { PeerTransport } from "./peer-transport.ts";
import type { TransportHandlers, TransportOptions } from "./transport-types.ts";

const host = "127.77.12.1";
const clusterId = "c1c1c1c1c1c1c1c1";
const [a, b, c] = ["00000000000000aa", "00000000000000bb", "00000000000000cc"];

type Member = {
  transport: PeerTransport;
  url: string;
  port: number;
  messages: Message[];
  events: string[];
  logs: string[];
};

const open: PeerTransport[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(open.splice(0).map((transport) => transport.close()));
});

async function start(
  self: string,
  options: Partial<Omit<TransportOptions, "handlers">> & { handlers?: Partial<TransportHandlers>; port?: number } = {},
): Promise<Member> {
  const [messages, events, logs]: [Message[], string[], string[]] = [[], [], []];
  const transport = new PeerTransport({
    self,
    clusterId,
    advertisedUrls: [],
    random: createRandom(1),
    ...options,
    handlers: {
      onMessage: (message) => messages.push(message),
      onPeerConnected: (peer) => events.push(`+${peer.slice(-2)}`),
      onPeerDisconnected: (peer) => events.push(`-${peer.slice(-2)}`),
      onLog: (_, text) => logs.push(text),
      onRejected: ({ error }) => logs.push(error),
      ...options.handlers,
    },
  });
  open.push(transport);
  const { port } = await transport.listen({ host, port: options.port ?? 0 });
  const scheme = options.tls === undefined ? "http" : "https";
  return { transport, port, url: `${scheme}://${host}:${port}`, messages, events, logs };
}

async function pair(
  left: Parameters<typeof start>[1] = {},
  right: Parameters<typeof start>[1] = {},
): Promise<[Member, Member]> {
  const [one, two] = await Promise.all([start(a, left), start(b, right)]);
  one.transport.setPeer(b, [two.url]);
  two.transport.setPeer(a, [one.url]);
  await until(() => bytesFlow(one, b) && bytesFlow(two, a));
  return [one, two];
}

/** Both directions are established: the connection that a member opened has sent a ping. */
function bytesFlow(member: Member, peer: string): boolean {
  return member.logs.some((text) => text.startsWith(`connected to member ${peer}`));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

function heartbeat(from: string, to: string, readRound: number): Message {
  return { from, to, term: 1, kind: "heartbeatRequest", commitIndex: 0, readRound };
}

/** Sends bytes as an unknown client and resolves with the response when the connection is closed. */
function sendRaw(port: number, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect({ host, port }, () => socket.write(bytes));
    sockets.push(socket);
    socket.on("data", (data) => received.push(data));
    socket.on("error", () => {});
    socket.on("close", () => resolve(Buffer.concat(received)));
  });
}

describe("the peer transport", () => {
  it("messages arrive complete and in order, in both directions, including large ones", async () => {
    const [one, two] = await pair();
    const data = Buffer.alloc(300_000, "d");
    for (let round = 0; round < 2000; round++) one.transport.send(heartbeat(a, b, round));
    one.transport.send({
      ...{
        from: a,
        to: b,
        term: 2,
        kind: "appendRequest",
        previousIndex: 0,
        previousTerm: 0,
        commitIndex: 0,
        needsAck: true,
      },
      entries: [1, 2, 3].map((index) => ({ index, term: 2, kind: 0 as const, data })),
    });
    two.transport.send({ from: b, to: a, term: 2, kind: "voteResponse", preVote: true, granted: false });
    await until(() => two.messages.length === 2001 && one.messages.length === 1);
    expect(two.messages.slice(0, 2000)).toEqual(Array.from({ length: 2000 }, (_, round) => heartbeat(a, b, round)));
    const last = two.messages[2000]!;
    expect(last.kind === "appendRequest" && last.entries.map(({ index, data: { length } }) => [index, length])).toEqual(
      [
        [1, 300_000],
        [2, 300_000],
        [3, 300_000],
      ],
    );
    expect(one.messages[0]).toEqual({ from: b, to: a, term: 2, kind: "voteResponse", preVote: true, granted: false });
    expect(one.transport.statisticsFor(b).sentBytes).toBeGreaterThan(900_000);
    expect(two.transport.statisticsFor(a).receivedBytes).toBeGreaterThan(900_000);
  });

  it("a lost peer is reported once, and redialed until it is back", async () => {
    const [one, two] = await pair();
    await two.transport.close();
    await until(() => one.events.length === 2);
    expect(one.events).toEqual(["+bb", "-bb"]);
    one.transport.send(heartbeat(a, b, 1));
    expect(one.transport.statisticsFor(b).sentFailures).toBe(1);
    const again = await start(b, { port: two.port });
    await until(() => one.transport.isConnected(b));
    one.transport.send(heartbeat(a, b, 2));
    await until(() => again.messages.length === 1);
    expect(again.messages[0]).toEqual(heartbeat(a, b, 2));
  });

  it("an unknown member is answered at the URLs it advertises", async () => {
    const two = await start(b);
    const advertisedUrls: string[] = [];
    const unknownPeer = await start(c, { advertisedUrls });
    advertisedUrls.push(unknownPeer.url);
    unknownPeer.transport.setPeer(b, [two.url]);
    await until(() => bytesFlow(two, c));
    two.transport.send(heartbeat(b, c, 1));
    await until(() => unknownPeer.messages.length === 1);
  });

  it("an unknown peer that disconnects is dropped, with its advertised address", async () => {
    const two = await start(b);
    const urls = ["http://127.77.12.1:1"];
    const socket = connect(two.port, host);
    socket.write(encodeHello({ purpose: Purpose.messages, acceptsMessages: false, clusterId, from: c, to: b, urls }));
    await until(() => two.events.includes("+cc"));
    socket.destroy();
    await until(() => two.events.includes("-cc"));
    await expect(two.transport.request(c, 1, Buffer.of(), 1_000)).rejects.toThrow("it is unknown here");
    two.transport.send(heartbeat(b, c, 1));
    expect(two.transport.statisticsFor(c)).toMatchObject({ receivedBytes: 0, sentFailures: 0 });
  });

  it.each([
    ["of another cluster", { clusterId: "c2c2c2c2c2c2c2c2" }, b, "cluster ID mismatch"],
    ["of the wrong member", {}, c, "wrong member"],
  ])("T low: a connection %s is rejected, and both sides log the reason", async (_, options, wanted, reason) => {
    const one = await start(a, options);
    const two = await start(b);
    one.transport.setPeer(wanted, [two.url]);
    await until(() => one.logs.length > 0 && two.logs.length > 0);
    expect(one.logs[0]).toContain(reason);
    expect(two.logs[0]).toContain(reason);
    expect(one.events).toEqual([]);
  });

  it("a connection with another protocol version is rejected", async () => {
    const two = await start(b);
    const hello = Buffer.from(
      encodeHello({ purpose: Purpose.messages, acceptsMessages: false, clusterId, from: a, to: b, urls: [] }),
    );
    hello[8] = 99;
    const reply = await sendRaw(two.port, hello);
    expect(reply[10]).toBe(1);
    expect(two.logs[0]).toContain(`member ${a} supports versions 99 to 100, member ${b} versions 1 to 2`);
  });

  it("a removed peer is disconnected and rejected", async () => {
    const [one, two] = await pair();
    one.transport.removePeer(b);
    await until(() => one.events.includes("-bb") && two.events.includes("-aa"));
    await until(() => two.logs.some((text) => text.includes(`member ${b} has been removed from the cluster`)));
    one.transport.setPeer(b, [two.url]);
    await until(() => one.transport.isConnected(b));
  });

  it("R29: a removed member learns of its removal from any member at the address that it knows", async () => {
    const one = await start(a);
    one.transport.removePeer(b);
    let calls = 0;
    const two = await start(b, { handlers: { onRemoved: () => calls++ } });
    two.transport.setPeer(c, [one.url]);
    await until(() => calls > 0);
    expect(two.logs).toEqual([
      `Cannot connect to member ${c} at ${one.url}: member ${b} has been removed from the cluster`,
    ]);
  });

  it("a peer that goes silent without closing is disconnected", async () => {
    const limits = { pingIntervalMs: 10, deadAfterMs: 60 };
    const two = await start(b, { limits });
    const socket = connect({ host, port: two.port }, () =>
      socket.write(
        encodeHello({ purpose: Purpose.messages, acceptsMessages: false, clusterId, from: a, to: b, urls: [] }),
      ),
    );
    sockets.push(socket);
    await until(() => two.events.length === 2);
    expect(two.events).toEqual(["+aa", "-aa"]);
    expect(two.logs.at(-1)).toContain("nothing arrived for");
  });

  it("pings measure the round trip", async () => {
    const times: number[] = [];
    await pair({
      handlers: { onRoundTrip: (peer, ms) => times.push(peer === b ? ms : Number.NaN) },
      limits: { pingIntervalMs: 5 },
    });
    await until(() => times.length >= 3);
    expect(times.every((ms) => ms >= 0 && ms < 10_000)).toBe(true);
  });

  it("messages beyond the queue's limit are dropped and counted", async () => {
    const [one] = await pair({ limits: { queueBytesMax: 10_000 } });
    const data = Buffer.alloc(4_000);
    for (let index = 1; index <= 10; index++) {
      const entries = [{ index, term: 1, kind: 0 as const, data }];
      one.transport.send({
        from: a,
        to: b,
        term: 1,
        kind: "appendRequest",
        previousIndex: index - 1,
        previousTerm: 1,
        commitIndex: 0,
        needsAck: true,
        entries,
      });
    }
    expect(one.transport.statisticsFor(b).sentFailures).toBe(7);
  });

  it("a bug in a message handler is not mistaken for a bad connection", async () => {
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const caught = new Promise<unknown>((resolve) => process.once("uncaughtException", resolve));
    const onMessage = (): void => {
      throw new TypeError("a bug");
    };
    try {
      const [one] = await pair({}, { handlers: { onMessage } });
      one.transport.send(heartbeat(a, b, 1));
      expect(String(await caught)).toBe("TypeError: a bug");
    } finally {
      for (const listener of listeners) process.on("uncaughtException", listener);
    }
  });
});

describe("a member that cannot be dialed, but dials its peers", () => {
  const metadata: SnapshotMetadata = {
    index: 10,
    term: 2,
    configuration: { voters: [a, b], votersOutgoing: [], learners: [] },
  };

  /** `two` dials `one`; `two` itself cannot be dialed. */
  async function oneWay(left: Parameters<typeof start>[1] = {}, right: Parameters<typeof start>[1] = {}) {
    const [one, two] = await Promise.all([start(a, left), start(b, right)]);
    one.transport.setPeer(b, [`http://${host}:1`]);
    two.transport.setPeer(a, [one.url]);
    await until(() => one.events.includes("+bb") && bytesFlow(two, a));
    return [one, two] as const;
  }

  it("A19: receives messages in order, and sends and serves requests, on the connection that it opened", async () => {
    const onRequest = async (_: string, kind: number, body: Uint8Array): Promise<Uint8Array> =>
      Buffer.of(kind, ...body);
    const trips: string[] = [];
    const onRoundTrip = (peer: string): void => void trips.push(peer);
    const [one, two] = await oneWay(
      { limits: { pingIntervalMs: 20 }, handlers: { onRequest, onRoundTrip } },
      { handlers: { onRequest } },
    );
    for (let round = 0; round < 500; round++) {
      one.transport.send(heartbeat(a, b, round));
      two.transport.send(heartbeat(b, a, round));
    }
    await until(() => one.messages.length === 500 && two.messages.length === 500);
    expect(two.messages).toEqual(Array.from({ length: 500 }, (_, round) => heartbeat(a, b, round)));
    expect([...(await one.transport.request(b, 7, Buffer.of(1), 1_000))]).toEqual([7, 1]);
    expect([...(await two.transport.request(a, 8, Buffer.of(2), 1_000))]).toEqual([8, 2]);
    expect(one.transport.statisticsFor(b).sentFailures).toBe(0);
    // The quality of the connection is measured from here as well.
    await until(() => trips.includes(b));
  });

  it.each([
    [1, { lowest: 1, highest: 1 }, { lowest: 1, highest: 2 }],
    [2, { lowest: 1, highest: 2 }, { lowest: 1, highest: 2 }],
    [2, { lowest: 1, highest: 2 }, { lowest: 2, highest: 3 }],
  ])("two members use protocol version %i, the highest common one", async (version, left, right) => {
    const [one, two] = await pair({ versions: () => left }, { versions: () => right });
    expect([one.transport.versionWith(b), two.transport.versionWith(a)]).toEqual([version, version]);
    expect(one.transport.versionWith(c)).toBe(null);
  });

  it("A19: fetches an offered snapshot, and the sender is notified when it is durable", async () => {
    const received: unknown[] = [];
    const [one] = await oneWay(
      {},
      {
        handlers: {
          onSnapshot: async (peer, got, chunks) => {
            let bytes = 0;
            for await (const chunk of chunks) bytes += chunk.length;
            received.push(peer, got, bytes);
          },
        },
      },
    );
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < 8; at++) yield Buffer.alloc(500_000, at);
    }
    await one.transport.sendSnapshot(b, metadata, chunks());
    expect(received).toEqual([a, metadata, 4_000_000]);
  });

  it("A19: a peer of an older release, which sends no flag, receives nothing unknown to it on its connection", async () => {
    const one = await start(a);
    one.transport.setPeer(b, [`http://${host}:1`]);
    const hello = { purpose: Purpose.messages, acceptsMessages: false, clusterId, from: b, to: a, urls: [] };
    const socket = connect({ host, port: one.port }, () => socket.write(encodeHello(hello)));
    sockets.push(socket);
    await until(() => one.events.includes("+bb"));
    one.transport.send(heartbeat(a, b, 1));
    expect(one.transport.statisticsFor(b).sentFailures).toBe(1);
    await expect(one.transport.request(b, 1, Buffer.of(), 1_000)).rejects.toThrow("there is no connection");
    async function* chunks(): AsyncGenerator<Uint8Array> {}
    await expect(one.transport.sendSnapshot(b, metadata, chunks())).rejects.toThrow("ECONNREFUSED");
  });
});

describe("requests", () => {
  it("a request is served by the peer's handler, and its error is returned with code and text", async () => {
    const onRequest = async (peer: string, kind: number, body: Uint8Array): Promise<Uint8Array> => {
      if (kind === 7) throw new HaplanError("lease/not-found", "Cannot keep lease 7 alive: it does not exist");
      return Buffer.from(`${peer} ${kind} ${Buffer.from(body)}`);
    };
    const [one] = await pair({}, { handlers: { onRequest } });
    const answers = await Promise.all(
      [1, 2, 3].map((kind) => one.transport.request(b, kind, Buffer.from("hi"), 5_000)),
    );
    expect(answers.map((answer) => Buffer.from(answer).toString())).toEqual([`${a} 1 hi`, `${a} 2 hi`, `${a} 3 hi`]);
    await expect(one.transport.request(b, 7, Buffer.from(""), 5_000)).rejects.toMatchObject({
      code: "lease/not-found",
      message: "Cannot keep lease 7 alive: it does not exist",
    });
  });

  it("a request fails at once when the connection is lost, and after its timeout without a response", async () => {
    let asked = 0;
    const onRequest = (): Promise<Uint8Array> => {
      asked++;
      return new Promise(() => {});
    };
    const [one, two] = await pair({}, { handlers: { onRequest } });
    await expect(one.transport.request(b, 1, Buffer.from(""), 20)).rejects.toMatchObject({ code: "transport/timeout" });
    const waiting = one.transport.request(b, 1, Buffer.from(""), 60_000);
    await until(() => asked === 2);
    await Promise.all([
      two.transport.close(),
      expect(waiting).rejects.toMatchObject({ code: "transport/unavailable" }),
    ]);
    await expect(one.transport.request(b, 1, Buffer.from(""), 60_000)).rejects.toMatchObject({
      code: "transport/unavailable",
    });
    await expect(one.transport.request(c, 1, Buffer.from(""), 60_000)).rejects.toMatchObject({
      code: "transport/unavailable",
    });
  });
});

describe("snapshots", () => {
  const metadata: SnapshotMetadata = {
    index: 10,
    term: 2,
    configuration: { voters: [a, b], votersOutgoing: [], learners: [c] },
  };

  async function* chunksOf(count: number, size: number, failAt = -1): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < count; at++) {
      if (at === failAt) throw new Error("the source failed");
      yield Buffer.alloc(size, at);
    }
  }

  it("a snapshot arrives complete, and the sender is notified when it is durable", async () => {
    let durable = false;
    const received: unknown[] = [];
    const onSnapshot = async (
      peer: string,
      got: SnapshotMetadata,
      chunks: AsyncIterable<Uint8Array>,
    ): Promise<void> => {
      let sum = 0;
      for await (const chunk of chunks) {
        for (let at = 0; at < chunk.length; at += 1000) sum += chunk[at]!;
        if (sum % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      received.push(peer, got, sum);
      await new Promise((resolve) => setTimeout(resolve, 10));
      durable = true;
    };
    const [one] = await pair({}, { handlers: { onSnapshot } });
    await one.transport.sendSnapshot(b, metadata, chunksOf(20, 500_000));
    expect(durable).toBe(true);
    // Chunks of 500,000 are split at 262,144: samples at each multiple of 1,000 from the start of each part.
    expect(received).toEqual([
      a,
      metadata,
      Array.from({ length: 20 }, (_, at) => at * (263 + 238)).reduce((sum, each) => sum + each),
    ]);
  });

  it("a failing receiver reports the reason to the sender", async () => {
    const onSnapshot = async (): Promise<void> => {
      throw new HaplanError("snapshot/no-space", "Cannot store the snapshot: the disk is full");
    };
    const [one] = await pair({}, { handlers: { onSnapshot } });
    await expect(one.transport.sendSnapshot(b, metadata, chunksOf(50, 200_000))).rejects.toMatchObject({
      code: "snapshot/no-space",
    });
  });

  it("a failing source fails on both sides", async () => {
    let seen: unknown = null;
    const onSnapshot = async (_: string, __: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> => {
      try {
        for await (const _chunk of chunks);
      } catch (error) {
        seen = error;
        throw error;
      }
    };
    const [one] = await pair({}, { handlers: { onSnapshot } });
    await expect(one.transport.sendSnapshot(b, metadata, chunksOf(50, 200_000, 20))).rejects.toThrow(
      "the source failed",
    );
    await until(() => seen !== null);
    expect(seen).toMatchObject({ code: "transport/snapshot-failed" });
  });

  it("a receiver that disconnects fails the sender", async () => {
    let two: Member | undefined;
    const onSnapshot = async (_: string, __: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> => {
      for await (const _chunk of chunks) void two!.transport.close();
    };
    const [one, other] = await pair({}, { handlers: { onSnapshot } });
    two = other;
    await expect(one.transport.sendSnapshot(b, metadata, chunksOf(100, 200_000))).rejects.toMatchObject({
      code: "transport/snapshot-failed",
    });
  });
});

describe("the peer port", () => {
  it("HTTP on the peer port reaches the HTTP server", async () => {
    const httpServer = createHttpServer((request, response) => response.end(`you asked for ${request.url}`));
    const one = await start(a, { httpServer });
    const body = await new Promise<string>((resolve, reject) => {
      get({ host, port: one.port, path: "/members", agent: false }, (response) => {
        response.setEncoding("utf8").on("data", resolve);
      }).on("error", reject);
    });
    expect(body).toBe("you asked for /members");
  });

  it("garbage closes the connection with a line in the log, and the port keeps serving", async () => {
    const one = await start(a, { limits: { handshakeTimeoutMs: 100, frameBytesMax: 1000 } });
    const random = createRandom(99);
    const hello = Buffer.from(
      encodeHello({ purpose: Purpose.messages, acceptsMessages: false, clusterId, from: b, to: a, urls: [] }),
    );
    const snapshotHello = Buffer.from(
      encodeHello({ purpose: Purpose.snapshot, acceptsMessages: false, clusterId, from: b, to: a, urls: [] }),
    );
    const inputs = Array.from({ length: 120 }, (_, at) => {
      const noise = Buffer.from(Array.from({ length: 1 + random.below(60) }, () => random.below(256)));
      // A frame with a valid length whose content is invalid, after a greeting of either kind.
      const frame = Buffer.concat([Buffer.from([noise.length, 0, 0, 0]), noise, Buffer.from([0, 0, 0, 0])]);
      return [
        noise,
        Buffer.concat([hello, frame]),
        Buffer.concat([snapshotHello, frame]),
        hello.subarray(0, random.below(hello.length)),
      ][at % 4]!;
    });
    await Promise.all(inputs.map((bytes) => sendRaw(one.port, bytes)));
    expect(one.logs.length).toBeGreaterThan(50);
    const two = await start(b);
    two.transport.setPeer(a, [one.url]);
    await until(() => one.events.at(-1) === "+bb");
  });
});
