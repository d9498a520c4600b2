/**
 * Writes continuously during apply, to measure how long a client had to wait at most. It writes as clients do: over
 * persistent connections, one for each master, so that each member serves some of them, and over a new connection for
 * each write. See docs/decisions/20261129-write-availability.md.
 */
import type { Clock } from "../base/clock.ts";
import { errorText } from "../base/haplan-error.ts";
import type { ConnectControlPlane, ControlPlane, MembersRequest } from "../control-plane/control-plane.ts";
import type { WriteAvailability } from "./apply-event.ts";
import type { ProbePace, ProbeRequest, RunningProbe } from "./ports.ts";
import {
  type ProbedStep,
  type Stall,
  type WriteAttempt,
  withoutStalls,
  writeAvailability,
} from "./write-availability.ts";

const probeKey = "/haplan/probe";
/**
 * The clients take turns: at this interval one of them starts a write. A gap of all of them is measured with this
 * precision.
 */
const turnMs: { readonly [Pace in ProbePace]: number } = { steady: 20, dense: 5 };
/** A timer may be late by less than this on any machine. */
const stallMs = 10;
/** etcdctl's default timeout. */
const probeTimeoutMs = 5_000;

/** A client of the probe. */
export type ProbeClient = {
  /** Rejects if it is not acknowledged in time. */
  put(value: string): Promise<void>;
  close(): void;
};

/**
 * Starts writing at once. As a user it uses only persistent connections: each new one would cost the members a password
 * check, which takes as long as hundreds of writes.
 */
export function startWriteProbe(
  request: ProbeRequest,
  connect: ConnectControlPlane,
  clock: Clock,
  onLongGap: (gapMs: number) => void = () => undefined,
): RunningProbe {
  const through = (endpoint: MembersRequest): ProbeClient =>
    (endpoint.user ?? null) === null
      ? connectingClient(() => connect(endpoint), false)
      : keptClient(connect(endpoint), false);
  const clientsOf = ({ clients }: ProbeRequest): readonly ProbeClient[] =>
    clients
      .filter(({ connects, user }) => !connects || (user ?? null) === null)
      .map(({ connects, ...request }) =>
        connects ? connectingClient(() => connect(request)) : keptClient(connect(request)),
      );
  const endpointOf = ({ endpoint }: ProbeRequest): ProbeClient | null => (endpoint === null ? null : through(endpoint));
  const { maxGapMs = Number.POSITIVE_INFINITY } = request;
  const probe = new WriteProbe(clientsOf(request), clock, endpointOf(request), { maxGapMs, onLongGap });
  return {
    markStep: (id, phase) => probe.markStep(id, phase),
    setPace: (pace) => probe.setPace(pace),
    moveEndpoint: (endpoint) => probe.moveEndpoint(through(endpoint)),
    reconnect: (request) => probe.reconnect(clientsOf(request), endpointOf(request)),
    stop: () => probe.stop(),
  };
}

/** Has one connection, which it closes at the end. One that does not retry fails as soon as it is refused. */
export function keptClient(controlPlane: ControlPlane, repeats: boolean = true): ProbeClient {
  return {
    put: (value) => controlPlane.put(probeKey, value, probeTimeoutMs, repeats),
    close: () => controlPlane.close(),
  };
}

/** Opens a connection for each write, as etcdctl does. */
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

/** What is done about a gap while it lasts. */
export type GapLimit = { readonly maxGapMs: number; readonly onLongGap: (gapMs: number) => void };

type WaitingWrite = Pick<WriteAttempt, "client" | "startedMs">;

export class WriteProbe {
  readonly #clock: Clock;
  #clients: readonly ProbeClient[];
  /** Writes in addition, at each second turn: no other client writes through the endpoint. */
  #endpoint: ProbeClient | null;
  readonly #retired: ProbeClient[] = [];
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #pace: ProbePace = "steady";
  #writes = 0;
  readonly #attempts: WriteAttempt[] = [];
  readonly #stalls: Stall[] = [];
  readonly #limit: GapLimit | null;
  /** Not acknowledged, and no later one of the same client either. */
  readonly #waiting = new Set<WaitingWrite>();
  readonly #failed = new Set<WaitingWrite>();
  readonly #steps: ProbedStep[] = [];
  readonly #runningSteps = new Map<string, number>();
  readonly #startedMs: number;

  /** The probe owns the clients and closes them at the end. */
  constructor(
    clients: readonly ProbeClient[],
    clock: Clock,
    endpoint: ProbeClient | null = null,
    limit: GapLimit | null = null,
  ) {
    this.#limit = limit;
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

  markStep(id: string, phase: "started" | "ended"): void {
    const nowMs = this.#clock.monotonicMs();
    const fromMs = this.#runningSteps.get(id);
    if (phase === "started") this.#runningSteps.set(id, nowMs);
    else if (this.#runningSteps.delete(id) && fromMs !== undefined) this.#steps.push({ id, fromMs, untilMs: nowMs });
  }

  /** The client of the endpoint continues as `client`: its gap ends with the first acknowledged write of this one. */
  moveEndpoint(client: ProbeClient): void {
    // A write in flight may still be acknowledged.
    if (this.#endpoint !== null) this.#retired.push(this.#endpoint);
    this.#endpoint = client;
  }

  /** The same clients continue over other connections. */
  reconnect(clients: readonly ProbeClient[], endpoint: ProbeClient | null): void {
    this.#retired.push(...this.#clients);
    this.#clients = clients;
    if (endpoint !== null) this.moveEndpoint(endpoint);
  }

  /** Ends the probe and returns its result; null if it never wrote. */
  async stop(): Promise<WriteAvailability | null> {
    this.#stopping.abort();
    await this.#running;
    for (const id of [...this.#runningSteps.keys()]) this.markStep(id, "ended");
    for (const client of [...this.#clients, ...this.#retired, this.#endpoint]) client?.close();
    if (this.#attempts.length === 0) return null;
    const run = { startedMs: this.#startedMs, endedMs: this.#clock.monotonicMs() };
    return writeAvailability(this.#attempts, run, this.#stalls, this.#steps);
  }

  /** Writes start at a steady rate: one without a response does not delay the next one. */
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
      this.#checkGaps();
    }
    await Promise.all(pending);
  }

  /** A pause much longer than requested shows that this process was busy or suspended. */
  async #sleep(): Promise<void> {
    const pauseMs = turnMs[this.#pace];
    const dueMs = this.#clock.monotonicMs() + pauseMs;
    await this.#clock.sleep(pauseMs, this.#stopping.signal).catch(() => undefined);
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - dueMs > stallMs) this.#stalls.push({ fromMs: dueMs - pauseMs, untilMs: nowMs });
  }

  async #write(client: number, put: ProbeClient["put"]): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const waiting: WaitingWrite = { client, startedMs };
    this.#waiting.add(waiting);
    this.#writes += 1;
    const failure = await put(String(this.#writes)).then(() => null, errorText);
    const endedMs = this.#clock.monotonicMs();
    this.#attempts.push({ client, startedMs, endedMs, failure });
    if (failure !== null) {
      this.#failed.add(waiting);
      return;
    }
    this.#checkGaps();
    this.#waiting.delete(waiting);
    this.#endWaits(waiting);
  }

  /** The acknowledged write ends the gaps of the same client's failed ones before it; those under way go on waiting. */
  #endWaits({ client, startedMs }: WaitingWrite): void {
    for (const other of this.#waiting) {
      if (other.client === client && other.startedMs < startedMs && this.#failed.delete(other))
        this.#waiting.delete(other);
    }
  }

  #checkGaps(): void {
    if (this.#limit === null) return;
    const untilMs = this.#clock.monotonicMs();
    for (const { startedMs } of this.#waiting) {
      const gap = withoutStalls({ fromMs: startedMs, untilMs }, this.#stalls);
      const gapMs = gap.untilMs - gap.fromMs;
      if (gapMs > this.#limit.maxGapMs) this.#limit.onLongGap(gapMs);
    }
  }
}
