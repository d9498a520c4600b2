/**
 * Plays a conversation on a port like the worst clients: in drips, without reading, half-open, disconnecting in the
 * middle.
 */
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import type { Random } from "../../src/base/random.ts";
import type { Conversation } from "./client-conversations.ts";
import { chance, mutateBytes, pick } from "./mutate.ts";

export type Target = {
  readonly host: string;
  readonly port: number;
  /** Absent for a port without TLS. */
  readonly tls?: ConnectionOptions;
};

/** The traffic of a conversation; the sockets that it leaves open are passed to `held`. */
export type Played = { bytesSent: number; bytesReceived: number };

const answerMs = 20;
const answersMax = 10;
const connectMs = 1_000;

export async function play(random: Random, target: Target, said: Conversation, held: Set<Socket>): Promise<Played> {
  const socket = connect({ host: target.host, port: target.port, noDelay: true });
  const played: Played = { bytesSent: 0, bytesReceived: 0 };
  // A server may close at any time: what matters is its state afterwards.
  socket.on("error", () => {});
  hold(socket, held);
  const mode = target.tls === undefined ? 0 : random.below(8);
  // Without TLS even where the port requires it.
  if (target.tls === undefined || mode === 0) await converse(random, socket, socket, said, played);
  else if (mode === 1) await spoilHandshake(random, socket, await clientHello());
  else {
    const secured = tlsConnect({ ...target.tls, socket: wireOf(socket), ALPNProtocols: [...said.alpn] });
    secured.on("error", () => {});
    hold(secured, held);
    if (!(await handshake(secured))) return played;
    await converse(random, secured, socket, said, played);
  }
  return played;
}

function hold(socket: Socket, held: Set<Socket>): void {
  socket.on("close", () => held.delete(socket));
  held.add(socket);
}

async function handshake(socket: TLSSocket): Promise<boolean> {
  const done = new AbortController();
  socket.once("secureConnect", () => done.abort(true));
  socket.once("close", () => done.abort(false));
  await sleep(connectMs, undefined, { signal: done.signal }).catch(() => {});
  return done.signal.reason === true;
}

async function converse(
  random: Random,
  socket: Socket,
  raw: Socket,
  said: Conversation,
  played: Played,
): Promise<void> {
  const isDeaf = chance(random, 10);
  let lastHeardMs = performance.now();
  if (!isDeaf) {
    socket.on("data", (bytes: Buffer) => {
      played.bytesReceived += bytes.length;
      lastHeardMs = performance.now();
    });
  }
  for (const [piece, pauseMs] of deliveries(random, said.pieces)) {
    if (!socket.writable) break;
    played.bytesSent += piece.length;
    socket.write(piece);
    await (pauseMs === 0 ? turn() : sleep(pauseMs));
  }
  switch (random.below(6)) {
    case 0:
      raw.destroy();
      break;
    case 1:
      raw.resetAndDestroy();
      break;
    case 2: // It stays open, partly sent or waiting for more, until the round is over.
      break;
    default:
      // Until it has gone silent, or closed.
      for (let waits = 0; waits < answersMax && !socket.destroyed; waits++) {
        await sleep(answerMs);
        if (played.bytesReceived > 0 && performance.now() - lastHeardMs > answerMs) break;
      }
      socket.end();
  }
}

/** The parts to write, and the milliseconds to wait after each. */
function deliveries(random: Random, pieces: readonly Buffer[]): (readonly [Buffer, number])[] {
  const whole = Buffer.concat(pieces);
  switch (random.below(5)) {
    case 0:
      return pieces.map((piece) => [piece, 0]);
    case 1: {
      const cut = random.below(whole.length + 1);
      return [
        [whole.subarray(0, cut), random.below(5)],
        [whole.subarray(cut), 0],
      ];
    }
    case 2: {
      const step = Math.max(1, Math.ceil(whole.length / (1 + random.below(60))));
      const parts = Math.ceil(whole.length / step);
      return Array.from({ length: parts }, (_, at) => [
        whole.subarray(at * step, (at + 1) * step),
        pick(random, [0, 1, 3]),
      ]);
    }
    case 3: // It disconnects before everything is sent.
      return [[whole.subarray(0, random.below(whole.length + 1)), 0]];
    default:
      return [[whole, 0]];
  }
}

async function spoilHandshake(random: Random, socket: Socket, hello: Buffer): Promise<void> {
  const bytes = chance(random, 2) ? mutateBytes(random, hello) : hello.subarray(0, random.below(hello.length));
  socket.write(bytes);
  await sleep(answerMs);
  if (!chance(random, 4)) socket.resetAndDestroy();
}

/** A socket that was passed to TLS itself could no longer be reset. */
function wireOf(socket: Socket): Duplex {
  const wire: Duplex = new Duplex({
    read: () => void socket.resume(),
    write: (bytes: Buffer, _encoding, done) => void socket.write(bytes, () => done()),
    final: (done) => void socket.end(() => done()),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (bytes: Buffer) => {
    if (!wire.push(bytes)) socket.pause();
  });
  socket.on("end", () => wire.push(null));
  socket.on("close", () => wire.destroy());
  return wire;
}

/** The first message of a TLS client. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => {},
      write: (bytes: Buffer, _encoding, done) => {
        resolve(bytes);
        done();
      },
    });
    tlsConnect({ socket: wire, ALPNProtocols: ["h2"] }).on("error", () => {});
  });
}
