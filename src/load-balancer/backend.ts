/**
 * The state of each backend, and the rules for choosing one. Pure: probes report their results, the proxy asks where to
 * send a connection.
 *  `ready` backends serve. A `stopping` one gets no new connection and keeps its existing ones. If none is ready,
 * `alive` ones serve: a member without a quorum still answers serializable reads, and answers everything else with a
 * clear error, which is better than a refused connection.
 */

export type BackendState =
  /** Not probed yet; treated like `alive`. */
  | "unchecked"
  /** Its health endpoint reports ready. */
  | "ready"
  /** It answers, but its health endpoint does not report ready. */
  | "alive"
  /** It is about to stop: it finishes its calls, and asks its clients to reconnect elsewhere. */
  | "stopping"
  /** It does not answer. */
  | "dead";

export type Backend = {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  state: BackendState;
  /** Why it is not ready; empty if it is. */
  reason: string;
  connections: number;
  /** Consecutive probes that were ready. */
  readyInRow: number;
  /** Consecutive probes that were not. */
  unreadyInRow: number;
  /** Consecutive probes that were not ready while another backend was. */
  outshoneInRow: number;
  /** It was stopping, and has not been ready since. */
  leaving: boolean;
};

export type ProbeOutcome =
  | { readonly kind: "ready" }
  | { readonly kind: "alive"; readonly reason: string }
  | { readonly kind: "stopping"; readonly reason: string }
  /** `certain`: the port refuses connections, so another try is pointless. */
  | { readonly kind: "dead"; readonly reason: string; readonly certain: boolean };

/** Consecutive successes that bring a dead backend back, and failures that take a ready one out. */
const rise = 2;
const fall = 2;
/** For how many probes a stopping backend keeps its connections. With the default interval: 15 s. */
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

/** Applies the result of a probe, or a failed connection. */
export function recordOutcome(backend: Backend, outcome: ProbeOutcome, pool: readonly Backend[]): void {
  if (outcome.kind === "ready") {
    backend.readyInRow++;
    backend.unreadyInRow = 0;
    backend.outshoneInRow = 0;
    backend.leaving = false;
    // The first result counts at once: a new load balancer should not keep its clients waiting.
    if (backend.state === "unchecked" || backend.readyInRow >= rise) setState(backend, "ready", "");
    return;
  }
  backend.readyInRow = 0;
  backend.unreadyInRow++;
  // A ready one whose own last probe failed will probably follow, as when the quorum is lost.
  const another = pool.some((other) => other !== backend && other.state === "ready" && other.unreadyInRow === 0);
  backend.outshoneInRow = another ? backend.outshoneInRow + 1 : 0;
  if (outcome.kind === "stopping") backend.leaving = true;
  const certain = outcome.kind === "stopping" || (outcome.kind === "dead" && outcome.certain);
  if (certain || backend.unreadyInRow >= fall || backend.state === "unchecked") {
    setState(backend, outcome.kind, outcome.reason);
  } else if (backend.state === "dead" && outcome.kind === "alive") {
    // A live one needs no second probe: it is used only if nothing better exists.
    setState(backend, "alive", outcome.reason);
  }
}

function setState(backend: Backend, state: BackendState, reason: string): void {
  backend.state = state;
  backend.reason = reason;
}

/**
 * Whether its connections are to be closed now. A dead one's at once, unless it was stopping: a connection that is
 * still open then has a call that it finishes. One that is merely not ready keeps them while there is nothing better,
 * and for a moment afterwards: after an election all members become ready within one probe of each other, and clients
 * should not be moved around meanwhile.
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
