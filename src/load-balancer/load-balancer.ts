/**
 * The embedded load balancer: listens, probes its backends, and forwards TCP connections to ready ones. Its
 * configuration can change while it runs; unaffected connections stay open.
 */
import type { Server as HealthServer } from "node:http";
import { createServer, type Server } from "node:net";
import { systemClock } from "../base/clock.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { stopListening } from "../base/stop-listening.ts";
import type { ClientHoldRequest, LoadBalancerConfig } from "../units/load-balancer-unit.ts";
import { listenOnceThere } from "./awaited-listener.ts";
import { type Backend, chooseBackend, createBackend, mustShed, type ProbeOutcome, recordOutcome } from "./backend.ts";
import { ClientHold } from "./client-hold.ts";
import { type CheckTls, createHealthCheck, type HealthCheck, isCertain, probe } from "./health-probe.ts";
import { createHealthServer, openHealthServer } from "./health-server.ts";
import { parseListen } from "./listen-address.ts";
import type { BackendStatus, LoadBalancerStatus } from "./load-balancer-status.ts";
import { Session, type SessionHost } from "./session.ts";

export type LoadBalancerLog = (event: string, facts: Readonly<Record<string, unknown>>) => void;

/** What it listens on, the backends for its clients, and how they are checked. */
export type BackendGroup = {
  readonly config: Pick<LoadBalancerConfig, "listens" | "backends" | "healthCheck">;
  readonly tls: CheckTls;
  /** The host has the listen addresses only now and then. */
  readonly isVirtual?: boolean;
  /** Where the host asks whether it serves. */
  readonly healthListen?: string;
  /** Clients wait: see `LoadBalancerConfig.hold`. */
  readonly hold?: ClientHoldRequest;
};

const connectionsMax = 10_000;
/** How long connections may stay open for the calls on them once it stops. */
const stopMsMax = 1_000;
/** For how many probe intervals a removed backend keeps its connections. With the default interval: 10 s. */
const removedGraceIntervals = 20;

type Watched = { readonly backend: Backend; readonly stop: AbortController; wake: AbortController };

export class LoadBalancer implements AsyncDisposable {
  readonly #log: LoadBalancerLog;
  readonly #listeners = new Map<string, Server>();
  /** Listen addresses that the host does not have yet. */
  readonly #awaited = new Map<string, AbortController>();
  #health: { readonly listen: string; readonly server: HealthServer } | null = null;
  readonly #sessions = new Set<Session>();
  readonly #closing = new AbortController();
  #watched: readonly Watched[] = [];
  #check: HealthCheck;
  #intervalMs: number;
  #previous: Backend | null = null;
  #served = 0;
  #refused = 0;
  /** Not null while clients wait. */
  #hold: ClientHold | null = null;
  /** Of the last hold: one that has ended by itself does not begin again. */
  #lastHoldId: string | null = null;

  private constructor(log: LoadBalancerLog, loaded: BackendGroup) {
    this.#log = log;
    this.#check = createHealthCheck(loaded.config.healthCheck, loaded.tls);
    this.#intervalMs = loaded.config.healthCheck.intervalMs;
  }

  /** @throws HaplanError `load-balancer/cannot-listen`; nothing is left listening then. */
  static async start(loaded: BackendGroup, log: LoadBalancerLog): Promise<LoadBalancer> {
    const balancer = new LoadBalancer(log, loaded);
    try {
      await balancer.reconfigure(loaded);
    } catch (error) {
      await balancer[Symbol.asyncDispose]();
      throw error;
    }
    return balancer;
  }

  /**
   * Opens new listen addresses and closes removed ones. Removed backends get no new connection and keep their existing
   * ones for a while, because their members finish accepted calls and ask their clients to reconnect elsewhere.
   */
  async reconfigure(loaded: BackendGroup): Promise<void> {
    const { listens, backends, healthCheck } = loaded.config;
    const listening = [...this.#listeners.keys(), ...this.#awaited.keys()];
    const added = listens.filter((listen) => !listening.includes(listen));
    try {
      if (loaded.isVirtual === true) for (const listen of added) this.#listenLater(listen);
      else await Promise.all(added.map((listen) => this.#listen(listen)));
      await this.#answerHealth(loaded.healthListen ?? null);
    } catch (error) {
      await this.#stopListening((listen) => !listening.includes(listen));
      throw error;
    }
    await this.#stopListening((listen) => !listens.includes(listen));
    this.#check = createHealthCheck(healthCheck, loaded.tls);
    this.#intervalMs = healthCheck.intervalMs;
    const kept = new Map(this.#watched.map((watched) => [placeOf(watched.backend), watched]));
    this.#watched = backends.map((backend) => kept.get(placeOf(backend)) ?? newlyWatched(backend));
    for (const watched of kept.values()) {
      if (this.#watched.includes(watched)) continue;
      watched.stop.abort();
      this.#shedLater(watched.backend);
    }
    for (const watched of this.#watched) if (!kept.has(placeOf(watched.backend))) void this.#watch(watched);
    this.#holdClients(loaded.hold ?? null);
    this.#log("configured", { listens, backends: backends.map((backend) => backend.name) });
  }

  /** Addresses with their actual ports, for port 0. */
  addresses(): readonly { readonly address: string; readonly port: number }[] {
    return [...this.#listeners.values()].flatMap((server) => {
      const bound = server.address();
      return bound === null || typeof bound === "string" ? [] : [{ address: bound.address, port: bound.port }];
    });
  }

  backends(): readonly BackendStatus[] {
    return this.#pool().map(({ name, address, port, state, reason, connections }) => {
      return { name, address, port, state, reason, connections };
    });
  }

  counters(): Pick<LoadBalancerStatus, "connections" | "served" | "refused" | "held"> {
    const counted = { connections: this.#sessions.size, served: this.#served, refused: this.#refused };
    return this.#hold === null ? counted : { ...counted, held: this.#hold.progress() };
  }

  /** Stops listening, and closes each connection between two calls as far as there is such a moment within a second. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#hold?.end();
    this.#hold = null;
    for (const watched of this.#watched) watched.stop.abort();
    this.#watched = [];
    await this.#stopListening(() => true);
    await this.#answerHealth(null);
    const limit = AbortSignal.timeout(stopMsMax);
    await Promise.all([...this.#sessions].map((session) => session.closeWhenQuiet(limit)));
  }

  /** Once the host has the address. */
  #listenLater(listen: string): void {
    const stop = new AbortController();
    this.#awaited.set(listen, stop);
    const signal = AbortSignal.any([stop.signal, this.#closing.signal]);
    listenOnceThere(() => this.#listen(listen), signal)
      .then((server) => {
        if (server === null || !signal.aborted) return;
        this.#listeners.delete(listen);
        server.close();
      })
      .catch((error: unknown) => this.#log("listenerFailed", { listen, error: errorText(error) }))
      .finally(() => this.#awaited.delete(listen));
  }

  /** `listen` null: no longer. */
  async #answerHealth(listen: string | null): Promise<void> {
    if (this.#health?.listen === listen) return;
    this.#health?.server.close();
    this.#health = null;
    if (listen === null) return;
    const server = createHealthServer(() => this.#pool().some(({ state }) => state !== "dead"));
    await openHealthServer(server, listen);
    this.#health = { listen, server };
  }

  #listen(listen: string): Promise<Server> {
    const options = { pauseOnConnect: true, allowHalfOpen: true, noDelay: true };
    return new Promise((resolve, reject) => {
      const server = createServer(options, (client) => {
        if (this.#sessions.size >= connectionsMax) {
          this.#refused++;
          client.resetAndDestroy();
          return;
        }
        const session = new Session(client, this.#sessionHost);
        this.#sessions.add(session);
        if (this.#hold === null) session.start();
        else this.#hold.add(session);
      });
      server.once("error", (error) =>
        reject(
          new HaplanError("load-balancer/cannot-listen", `Cannot listen on ${listen}: ${errorText(error)}`, {
            cause: error,
          }),
        ),
      );
      server.listen(parseListen(listen), () => {
        server.on("error", (error) => this.#log("listenerFailed", { listen, error: errorText(error) }));
        this.#listeners.set(listen, server);
        resolve(server);
      });
    });
  }

  /** Null releases the clients that wait. */
  #holdClients(wanted: ClientHoldRequest | null): void {
    if (wanted === null) {
      this.#hold?.end();
      this.#hold = null;
      return;
    }
    if (this.#lastHoldId === wanted.id) return;
    this.#lastHoldId = wanted.id;
    const connections = this.#sessions.size;
    const hold = new ClientHold([...this.#sessions], wanted, this.#hold, () => {
      if (this.#hold === hold) this.#hold = null;
      this.#log("holdExpired", { forMs: wanted.forMs });
    });
    this.#hold = hold;
    void hold.closed.then((cut) => this.#log("clientsHeld", { connections, cut }));
  }

  async #stopListening(unwanted: (listen: string) => boolean): Promise<void> {
    for (const [listen, stop] of this.#awaited) if (unwanted(listen)) stop.abort();
    const closing = [...this.#listeners].filter(([listen]) => unwanted(listen));
    for (const [listen] of closing) this.#listeners.delete(listen);
    await Promise.all(closing.map(([, server]) => stopListening(server)));
  }

  readonly #sessionHost: SessionHost = {
    choose: (tried) => {
      const chosen = chooseBackend(this.#pool(), tried, this.#previous);
      if (chosen === null) this.#refused++;
      else this.#previous = chosen;
      return chosen;
    },
    onConnectFailed: (backend, error) => {
      this.#take(backend, { kind: "dead", certain: isCertain(error), reason: errorText(error) });
    },
    onBroken: (backend) => {
      this.#watched.find((watched) => watched.backend === backend)?.wake.abort();
    },
    onEnd: (session) => {
      this.#served++;
      this.#sessions.delete(session);
    },
  };

  #pool(): Backend[] {
    return this.#watched.map((watched) => watched.backend);
  }

  /** Probes one backend repeatedly until it is removed. */
  async #watch(watched: Watched): Promise<void> {
    const { backend, stop } = watched;
    while (!stop.signal.aborted) {
      const outcome = await probe(backend, this.#check);
      if (stop.signal.aborted) return;
      this.#take(backend, outcome);
      watched.wake = new AbortController();
      const pause = AbortSignal.any([stop.signal, watched.wake.signal]);
      await systemClock.sleep(this.#intervalMs, pause).catch(() => undefined);
    }
  }

  #take(backend: Backend, outcome: ProbeOutcome): void {
    const before = backend.state;
    recordOutcome(backend, outcome, this.#pool());
    if (backend.state !== before) {
      const { name, state, reason, connections } = backend;
      this.#log("backendChanged", { backend: name, before, state, reason, connections });
    }
    if (mustShed(backend)) this.#shed(backend, backend.reason);
  }

  #shedLater(backend: Backend): void {
    systemClock.sleep(removedGraceIntervals * this.#intervalMs, this.#closing.signal).then(
      () => this.#shed(backend, "removed"),
      () => undefined,
    );
  }

  #shed(backend: Backend, reason: string): void {
    const shed = [...this.#sessions].filter((session) => session.backend === backend);
    for (const session of shed) session.close();
    if (shed.length > 0) this.#log("connectionsClosed", { backend: backend.name, count: shed.length, reason });
  }
}

function newlyWatched(where: { readonly name: string; readonly address: string; readonly port: number }): Watched {
  return { backend: createBackend(where), stop: new AbortController(), wake: new AbortController() };
}

function placeOf(where: { readonly name: string; readonly address: string; readonly port: number }): string {
  return `${where.name} ${where.address} ${where.port}`;
}
