/**
 * Writes all the time while apply is at work, so that it can say how long a client had to wait at most. It does so as
 * clients do: over connections that last, one for each master, so that each member has its share of them, and over a new
 * connection for each write. See docs/decisions/20261129-write-availability.md.
 */
import type { Clock } from "../base/clock.ts";
import { errorText } from "../base/haplan-error.ts";
import type { ConnectControlPlane, ControlPlane, MembersRequest } from "../control-plane/control-plane.ts";
import type { WriteAvailability } from "./apply-event.ts";
import type { ProbePace, ProbeRequest, RunningProbe } from "./ports.ts";
import { type Stall, type WriteAttempt, writeAvailability } from "./write-availability.ts";

const probeKey = "/haplan/probe";
/** The clients take turns: at this interval one of them begins a write. A gap of all of them is measured as exactly. */
const turnMs: { readonly [Pace in ProbePace]: number } = { steady: 20, dense: 5 };
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
export function startWriteProbe(request: ProbeRequest, connect: ConnectControlPlane, clock: Clock): RunningProbe {
  const clients = request.clients
    .filter(({ connects, user }) => !connects || (user ?? null) === null)
    .map(({ connects, ...request }) =>
      connects ? connectingClient(() => connect(request)) : keptClient(connect(request)),
    );
  const through = (endpoint: MembersRequest): ProbeClient =>
    (endpoint.user ?? null) === null
      ? connectingClient(() => connect(endpoint), false)
      : keptClient(connect(endpoint), false);
  const probe = new WriteProbe(clients, clock, request.endpoint === null ? null : through(request.endpoint));
  return {
    setPace: (pace) => probe.setPace(pace),
    moveEndpoint: (endpoint) => probe.moveEndpoint(through(endpoint)),
    stop: () => probe.stop(),
  };
}

/** Has one connection, which it closes in the end. One that does not repeat fails as soon as it is refused. */
export function keptClient(controlPlane: ControlPlane, repeats: boolean = true): ProbeClient {
  return {
    put: (value) => controlPlane.put(probeKey, value, probeTimeoutMs, repeats),
    close: () => controlPlane.close(),
  };
}

/** Has a connection for each write, as etcdctl has. */
export function connectingClient(connect: () => ControlPlane, repeats: boolean = true): ProbeClient {
  return {
    put: async (value) => {
      const controlPlane = connect();
      try {
        await controlPlane.put(probeKey, value, probeTimeoutMs, repeats);
      } finally {
        controlPlane.close();
      }
    },
    close: () => undefined,
  };
}

export class WriteProbe {
  readonly #clock: Clock;
  readonly #clients: readonly ProbeClient[];
  /** Writes beside them, at each second turn: nothing else writes through the endpoint. */
  #endpoint: ProbeClient | null;
  readonly #retired: ProbeClient[] = [];
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #pace: ProbePace = "steady";
  #writes = 0;
  readonly #attempts: WriteAttempt[] = [];
  readonly #stalls: Stall[] = [];
  readonly #startedMs: number;

  /** The clients become the probe's, which closes them in the end. */
  constructor(clients: readonly ProbeClient[], clock: Clock, endpoint: ProbeClient | null = null) {
    this.#clients = clients;
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    this.#running = this.#run();
  }

  /** From the next write on. */
  setPace(pace: ProbePace): void {
    this.#pace = pace;
  }

  /** The client of the endpoint goes on as `client`: what it waited for ends with the first write that this one does. */
  moveEndpoint(client: ProbeClient): void {
    // A write that is under way may yet be answered.
    if (this.#endpoint !== null) this.#retired.push(this.#endpoint);
    this.#endpoint = client;
  }

  /** Ends the probe and tells what it saw; null when it never came to write. */
  async stop(): Promise<WriteAvailability | null> {
    this.#stopping.abort();
    await this.#running;
    for (const client of [...this.#clients, ...this.#retired, this.#endpoint]) client?.close();
    if (this.#attempts.length === 0) return null;
    const run = { startedMs: this.#startedMs, endedMs: this.#clock.monotonicMs() };
    return writeAvailability(this.#attempts, run, this.#stalls);
  }

  /** Writes begin at a steady rate: one that is not answered does not keep the next one back. */
  async #run(): Promise<void> {
    const pending = new Set<Promise<void>>();
    const begin = (client: number, put: ProbeClient["put"]): void => {
      const write = this.#write(client, put).finally(() => pending.delete(write));
      pending.add(write);
    };
    for (let turn = 0; !this.#stopping.signal.aborted; turn += 1) {
      const client = turn % this.#clients.length;
      begin(client, this.#clients[client]!.put);
      if (this.#endpoint !== null && turn % 2 === 0) begin(this.#clients.length, this.#endpoint.put);
      await this.#sleep();
    }
    await Promise.all(pending);
  }

  /** A pause that takes much longer than asked for shows that this process was busy, or was not run at all. */
  async #sleep(): Promise<void> {
    const pauseMs = turnMs[this.#pace];
    const dueMs = this.#clock.monotonicMs() + pauseMs;
    await this.#clock.sleep(pauseMs, this.#stopping.signal).catch(() => undefined);
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - dueMs > stallMs) this.#stalls.push({ fromMs: dueMs - pauseMs, untilMs: nowMs });
  }

  async #write(client: number, put: ProbeClient["put"]): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    this.#writes += 1;
    const failure = await put(String(this.#writes)).then(() => null, errorText);
    this.#attempts.push({ client, startedMs, endedMs: this.#clock.monotonicMs(), failure });
  }
}
