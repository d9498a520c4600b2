/** Says a conversation on a port, with the manners of the worst clients: in drops, deaf, half-open, gone in the middle. */
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

/** What was said; the sockets that a conversation leaves open are given to `held`. */
export type Played = { bytesSent: number; bytesReceived: number };

const answerMs = 20;
const answersMax = 10;
const connectMs = 1_000;

export async function play(random: Random, target: Target, said: Conversation, held: Set<Socket>): Promise<Played> {
  const socket = connect({ host: target.host, port: target.port, noDelay: true });
  const played: Played = { bytesSent: 0, bytesReceived: 0 };
  // A server may close whenever it likes: what matters is how it is afterwards.
  socket.on("error", () => {});
  hold(socket, held);
  const manner = target.tls === undefined ? 0 : random.below(8);
  // Without TLS also where the port wants it.
  if (target.tls === undefined || manner === 0) await converse(random, socket, socket, said, played);
  else if (manner === 1) await spoilHandshake(random, socket, await clientHello());
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
    case 2: // It stays open, half said or waiting for more, until the round is over.
      break;
    default:
      // Until it has fallen silent, or closed.
      for (let waits = 0; waits < answersMax && !socket.destroyed; waits++) {
        await sleep(answerMs);
        if (played.bytesReceived > 0 && performance.now() - lastHeardMs > answerMs) break;
      }
      socket.end();
  }
}

/** Parts to write, and the milliseconds to wait behind each. */
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
    case 3: // It leaves before it has said everything.
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

/** A socket that was given to TLS itself could not be reset any more. */
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
