/**
 * What is known of each backend, and the rules by which it is used. Pure: probes report what they saw, the proxy asks
 * where to send a connection.
 *
 * `ready` backends serve. One that is `stopping` gets no new connection and keeps those that it has. When none is ready, `alive` ones do: a member without a quorum still answers serializable
 * reads, and answers everything else with a clear error, which is better than a closed door.
 */

export type BackendState =
  /** Not probed yet; used like `alive`. */
  | "unchecked"
  /** Its health endpoint says yes. */
  | "ready"
  /** It answers, but its health endpoint does not say yes. */
  | "alive"
  /** It is about to stop: it finishes what it has, and sends its clients elsewhere itself. */
  | "stopping"
  /** It does not answer. */
  | "dead";

export type Backend = {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  state: BackendState;
  /** Why it is not ready; empty when it is. */
  reason: string;
  connections: number;
  /** Probes in a row that said ready. */
  readyInRow: number;
  /** Probes in a row that did not. */
  unreadyInRow: number;
  /** Probes in a row that did not say ready while another backend was. */
  outshoneInRow: number;
  /** It was stopping, and has not been ready since. */
  leaving: boolean;
};

export type ProbeOutcome =
  | { readonly kind: "ready" }
  | { readonly kind: "alive"; readonly reason: string }
  | { readonly kind: "stopping"; readonly reason: string }
  /** `certain`: nobody listens there, so there is no point in asking again. */
  | { readonly kind: "dead"; readonly reason: string; readonly certain: boolean };

/** Good answers in a row that bring a dead backend back, and bad ones in a row that take a ready one out. */
const rise = 2;
const fall = 2;
/** How many probes long the connections of one that is stopping are left to it. With the usual interval: 15 s. */
const leavingProbesMax = 30;

export function createBackend(where: {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}): Backend {
  return {
    name: where.name,
    address: where.address,
    port: where.port,
    state: "unchecked",
    reason: "not probed yet",
    connections: 0,
    readyInRow: 0,
    unreadyInRow: 0,
    outshoneInRow: 0,
    leaving: false,
  };
}

/** Takes in what a probe, or a failed connection, has shown. */
export function recordOutcome(backend: Backend, outcome: ProbeOutcome, pool: readonly Backend[]): void {
  if (outcome.kind === "ready") {
    backend.readyInRow++;
    backend.unreadyInRow = 0;
    backend.outshoneInRow = 0;
    backend.leaving = false;
    // The first answer ever counts at once: a fresh load balancer should not keep its clients waiting.
    if (backend.state === "unchecked" || backend.readyInRow >= rise) setState(backend, "ready", "");
    return;
  }
  backend.readyInRow = 0;
  backend.unreadyInRow++;
  // A ready one whose own last probe failed is probably about to follow, as when the quorum is lost.
  const another = pool.some((other) => other !== backend && other.state === "ready" && other.unreadyInRow === 0);
  backend.outshoneInRow = another ? backend.outshoneInRow + 1 : 0;
  if (outcome.kind === "stopping") backend.leaving = true;
  const certain = outcome.kind === "stopping" || (outcome.kind === "dead" && outcome.certain);
  if (certain || backend.unreadyInRow >= fall || backend.state === "unchecked") {
    setState(backend, outcome.kind, outcome.reason);
  } else if (backend.state === "dead" && outcome.kind === "alive") {
    // A sign of life needs no second one: it is used only when nothing better is there.
    setState(backend, "alive", outcome.reason);
  }
}

function setState(backend: Backend, state: BackendState, reason: string): void {
  backend.state = state;
  backend.reason = reason;
}

/**
 * Whether connections to it are to be closed now. A dead one's at once, unless it was stopping: what is still open then is
 * a call that it finishes. One that is merely not ready keeps them while
 * there is nothing better, and for a moment afterwards: after an election all members become ready within one probe
 * of each other, and clients should not be chased around meanwhile.
 */
export function mustShed(backend: Backend): boolean {
  if (backend.leaving && backend.unreadyInRow < leavingProbesMax) return false;
  return backend.state === "dead" || (backend.state !== "ready" && backend.outshoneInRow >= fall);
}

/** The usable backend with the fewest connections; among equals the one after `previous`, so that they take turns. */
export function chooseBackend(
  pool: readonly Backend[],
  excluded: ReadonlySet<Backend>,
  previous: Backend | null,
): Backend | null {
  const open = pool.filter((backend) => !excluded.has(backend) && backend.state !== "dead");
  const inState = (...states: readonly BackendState[]): Backend[] =>
    open.filter((backend) => states.includes(backend.state));
  const choices = [inState("ready"), inState("alive", "unchecked"), inState("stopping")];
  const usable = choices.find((backends) => backends.length > 0) ?? [];
  const start = previous === null ? 0 : pool.indexOf(previous) + 1;
  const turn = (backend: Backend): number => (pool.indexOf(backend) - start + pool.length) % pool.length;
  return usable.sort((a, b) => a.connections - b.connections || turn(a) - turn(b))[0] ?? null;
}
