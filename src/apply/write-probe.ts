/**
 * Writes all the time while apply is at work, so that it can say how long a client had to wait at most. It does so as
 * clients do: over connections that last, one for each master, so that each member has its share of them, and over a new
 * connection for each write. See docs/decisions/20261129-write-availability.md.
 */
import type { Clock } from "../base/clock.ts";
import { errorText } from "../base/haplan-error.ts";
import type { ConnectControlPlane, ControlPlane } from "../control-plane/control-plane.ts";
import type { WriteAvailability } from "./apply-event.ts";
import type { ProbeClientRequest, RunningProbe } from "./ports.ts";
import { type Stall, type WriteAttempt, writeAvailability } from "./write-availability.ts";

const probeKey = "/haplan/probe";
/** The clients take turns: at this distance one of them begins a write. A gap of all of them is measured as exactly. */
const turnMs = 20;
/** A timer may be late by less than this on any machine. */
const stallMs = 10;
/** As long as etcdctl waits by default. */
const probeTimeoutMs = 5_000;

/** A client of the probe. */
export type ProbeClient = {
  /** Rejects when it is not acknowledged in time. */
  put(value: string): Promise<void>;
  close(): void;
};

/**
 * Begins to write at once. As a user it does so over connections that last alone: each new one would cost the members the
 * check of a password, which takes them as long as hundreds of writes.
 */
export function startWriteProbe(
  requests: readonly ProbeClientRequest[],
  connect: ConnectControlPlane,
  clock: Clock,
): WriteProbe {
  const clients = requests
    .filter(({ connects, user }) => !connects || (user ?? null) === null)
    .map(({ connects, ...request }) =>
      connects ? connectingClient(() => connect(request)) : keptClient(connect(request)),
    );
  return new WriteProbe(clients, clock);
}

/** Has one connection, which it closes in the end. */
export function keptClient(controlPlane: ControlPlane): ProbeClient {
  return {
    put: (value) => controlPlane.put(probeKey, value, probeTimeoutMs),
    close: () => controlPlane.close(),
  };
}

/** Has a connection for each write, as etcdctl has. */
export function connectingClient(connect: () => ControlPlane): ProbeClient {
  return {
    put: async (value) => {
      const controlPlane = connect();
      try {
        await controlPlane.put(probeKey, value, probeTimeoutMs);
      } finally {
        controlPlane.close();
      }
    },
    close: () => undefined,
  };
}

export class WriteProbe implements RunningProbe {
  private readonly clock: Clock;
  private readonly clients: readonly ProbeClient[];
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;
  private readonly attempts: WriteAttempt[] = [];
  private readonly stalls: Stall[] = [];
  private readonly startedMs: number;

  /** The clients become the probe's, which closes them in the end. */
  constructor(clients: readonly ProbeClient[], clock: Clock) {
    this.clients = clients;
    this.clock = clock;
    this.startedMs = clock.monotonicMs();
    this.running = this.run();
  }

  /** Ends the probe and tells what it saw; null when it never came to write. */
  async stop(): Promise<WriteAvailability | null> {
    this.stopping.abort();
    await this.running;
    for (const client of this.clients) client.close();
    if (this.attempts.length === 0) return null;
    const run = { startedMs: this.startedMs, endedMs: this.clock.monotonicMs() };
    return writeAvailability(this.attempts, run, this.stalls);
  }

  /** Writes begin at a steady rate: one that is not answered does not keep the next one back. */
  private async run(): Promise<void> {
    const pending = new Set<Promise<void>>();
    for (let number = 0; !this.stopping.signal.aborted; number += 1) {
      const write = this.write(number).finally(() => pending.delete(write));
      pending.add(write);
      await this.sleep();
    }
    await Promise.all(pending);
  }

  /** A pause that takes much longer than asked for shows that this process was busy, or was not run at all. */
  private async sleep(): Promise<void> {
    const dueMs = this.clock.monotonicMs() + turnMs;
    await this.clock.sleep(turnMs, this.stopping.signal).catch(() => undefined);
    const nowMs = this.clock.monotonicMs();
    if (nowMs - dueMs > stallMs) this.stalls.push({ fromMs: dueMs - turnMs, untilMs: nowMs });
  }

  private async write(number: number): Promise<void> {
    const client = number % this.clients.length;
    const { put } = this.clients[client]!;
    const startedMs = this.clock.monotonicMs();
    const failure = await put(String(number + 1)).then(() => null, errorText);
    this.attempts.push({ client, startedMs, endedMs: this.clock.monotonicMs(), failure });
  }
}
