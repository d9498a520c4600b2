/**
 * Fuzzes the ports of a real agent, with and without TLS: valid conversations whose bytes, frames and messages are
 * mutated, sent by clients that drip, stall and disconnect. Whatever arrives, the process stays alive, serves a
 * well-behaved client within a second, and afterwards holds the same resources as before. HAPLAN_FUZZ_SECONDS makes it
 * longer; HAPLAN_FUZZ_SEED of a finding replays the same conversations.
 */
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as tlsConnect } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRandom } from "../../src/base/random.ts";
import { type Conversation, clientConversation } from "./client-conversations.ts";
import { type Footprint, FuzzedMember } from "./fuzzed-member.ts";
import { peerConversation } from "./peer-conversations.ts";
import { play, type Target } from "./play.ts";

const agentHost = "127.77.34.1";
const seconds = Number(process.env["HAPLAN_FUZZ_SECONDS"] ?? 1);
const seed = Number(process.env["HAPLAN_FUZZ_SEED"] ?? 1);
const clients = 32;
const roundMs = 5_000;
const servesWithinMs = 1_000;
/** The machine may be busy with other processes: a slow request is retried. */
const servesAgainWithinMs = 20_000;
/** Where a response waits for an earlier one that never comes, the connection is closed after up to two stalls of 10 s. */
const settlesWithinMs = 25_000;
/**
 * Up to 128 MiB of the log stay in memory for followers, whichever client wrote them; the rest is for the garbage
 * collector.
 */
const extraBytesMax = 192 * 1024 * 1024;
/** The first rounds fill caches and warm up the compiler: later footprints are compared with the one after them. */
const warmUpMs = Math.min(20_000, seconds * 60);

type Port = "client" | "peer";
type Counts = { connections: number; requests: number; bytesSent: number; bytesReceived: number };

describe.each([
  ["without TLS", false],
  ["with TLS", true],
])("an agent %s under noise", (_, withTls) => {
  let member: FuzzedMember;
  beforeAll(async () => {
    member = await FuzzedMember.start(agentHost, withTls);
  });
  afterAll(() => member?.stop());

  it.each<Port>(["client", "peer"])(
    `survives on its %s port for ${seconds / 4} s (seed ${seed})`,
    { timeout: seconds * 1_000 + 60_000, retry: 0 },
    async (port) => {
      const noise = new Noise(member, port);
      await noise.make(warmUpMs);
      await member.tidy();
      const before = await settled(member);
      for (let leftMs = seconds * 250; leftMs > 0; leftMs -= roundMs) {
        await noise.make(Math.min(leftMs, roundMs));
        await noise.explain(() => expectHealthy(member, before));
      }
      await member.tidy();
      await noise.explain(() => expectBackTo(member, before));
      const { residentBytes } = member.footprint();
      const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
      if (seconds > 10)
        console.info(
          port,
          withTls,
          noise.counts,
          megabytes(before.residentBytes),
          "->",
          megabytes(residentBytes),
          "MB",
        );
    },
  );

  const long = seconds < 30 ? undefined : it;
  long?.("closes connections that start and do not continue", { timeout: 60_000 }, async () => {
    const beginnings = ["", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /health HTTP/1.1\r\nHost: "];
    await Promise.all(beginnings.map((text) => untilClosed(member.client, text)));
    await Promise.all(["", "\u00f5hap", "GET /members HTTP/1.1\r\n"].map((text) => untilClosed(member.peer, text)));
  });
});

/** Sends `beginning`, over TLS where the port has it, and resolves when the other side closes. */
async function untilClosed({ host, port, tls }: Target, beginning: string): Promise<void> {
  const socket = tls === undefined ? connect(port, host) : tlsConnect({ ...tls, host, port });
  socket.on("error", () => {});
  socket.on("data", () => {});
  await once(socket, tls === undefined ? "connect" : "secureConnect");
  socket.write(Buffer.from(beginning, "latin1"));
  await once(socket, "close");
}

/** Several clients at a time, each conversation drawn from the seed and its own number. */
class Noise {
  readonly counts: Counts = { connections: 0, requests: 0, bytesSent: 0, bytesReceived: 0 };
  readonly #member: FuzzedMember;
  readonly #port: Port;
  readonly #held = new Set<Socket>();
  #said: (readonly [number, Conversation])[] = [];

  constructor(member: FuzzedMember, port: Port) {
    this.#member = member;
    this.#port = port;
  }

  /** One round. Connections left open are closed at its end. */
  async make(durationMs: number): Promise<void> {
    const endMs = performance.now() + durationMs;
    this.#said = [];
    const client = async (): Promise<void> => {
      while (performance.now() < endMs && this.#member.isAlive) await this.#converse(this.counts.connections++);
    };
    await Promise.all(Array.from({ length: clients }, client));
    for (const socket of this.#held) socket.destroy();
    this.#held.clear();
  }

  /** Runs the check; when it fails, reports the preceding conversations. */
  async explain(check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      const file = join(mkdtempSync(join(tmpdir(), "haplan-fuzz-finding-")), "conversations.txt");
      const lines = this.#said.map(([at, { pieces }]) => `${at} ${Buffer.concat(pieces).toString("hex")}`);
      writeFileSync(file, `${lines.join("\n")}\n`);
      const last = lines.slice(-4).map((line) => line.slice(0, 1_000));
      throw new Error(
        `${error instanceof Error ? error.message : error}\nseed ${seed}, ${this.#port} port; the round is in ${file}; ` +
          `its last conversations:\n${last.join("\n")}\nits connections:\n${this.#member.connections().join("\n")}\nits log:\n${this.#member.log}`,
        { cause: error },
      );
    }
  }

  async #converse(at: number): Promise<void> {
    const random = createRandom(Math.imul(seed, 0x9e3779b1) + at);
    const { client, peer, place } = this.#member;
    const said = this.#port === "client" ? clientConversation(random) : peerConversation(random, place);
    this.#said.push([at, said]);
    const { bytesSent, bytesReceived } = await play(random, this.#port === "client" ? client : peer, said, this.#held);
    this.counts.requests += said.requests;
    this.counts.bytesSent += bytesSent;
    this.counts.bytesReceived += bytesReceived;
  }
}

async function expectHealthy(member: FuzzedMember, before: Footprint): Promise<void> {
  expect(member.isAlive, "the process is alive").toBe(true);
  await expect
    .poll(() => member.putAndGet(`${Math.random()}`), { timeout: servesAgainWithinMs, message: "ms to put and get" })
    .toBeLessThan(servesWithinMs);
  expect(member.reportedBugs).toEqual([]);
  const more = (): readonly string[] =>
    Object.entries(member.footprint().descriptors)
      .filter(([kind, count]) => count > (before.descriptors[kind] ?? 0))
      .map(([kind, count]) => `${count} of ${kind}, ${before.descriptors[kind] ?? 0} before`);
  await expect.poll(more, { timeout: settlesWithinMs, message: "the resources of the process" }).toEqual([]);
}

async function expectBackTo(member: FuzzedMember, before: Footprint): Promise<void> {
  await expectHealthy(member, before);
  const bytesMax = before.residentBytes + extraBytesMax;
  const resident = (): number => member.footprint().residentBytes;
  await expect.poll(resident, { timeout: settlesWithinMs, message: "resident bytes" }).toBeLessThan(bytesMax);
}

/** The member's footprint once it has been stable for a while. */
async function settled(member: FuzzedMember): Promise<Footprint> {
  for (let before = member.footprint(), same = 0; ; ) {
    await sleep(50);
    const now = member.footprint();
    same = isDeepStrictEqual(now.descriptors, before.descriptors) ? same + 1 : 0;
    if (same === 10) return now;
    before = now;
  }
}
