/**
 * Streams whose client asked for a leader (metadata `hasleader: true`) are ended when the cluster has had none for a
 * while, so that the client goes to a member that has one (etcd server/etcdserver/api/v3rpc/interceptor.go).
 */
import type { ServerCall } from "../grpc/call.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { fail } from "./answer.ts";
import type { StreamMethod } from "./guarded-stream.ts";
import type { ServiceContext } from "./service-context.ts";

/** etcd's: election timeouts without a leader after which such a stream is ended. */
const LEADERLESS_TIMEOUTS = 3;

export class LeaderBoundStreams {
  readonly #context: ServiceContext;
  readonly #calls = new Set<ServerCall>();
  #leaderlessSinceMs: number | null = null;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** The same method, with its calls watched over while they are open. */
  bind(method: StreamMethod): StreamMethod {
    return {
      ...method,
      open: (call) => {
        const handler = method.open(call);
        if (call.header("hasleader") !== "true") return handler;
        this.#calls.add(call);
        return {
          onMessage: (message) => handler.onMessage(message),
          onHalfClose: () => handler.onHalfClose(),
          onDrain: () => handler.onDrain(),
          onClose: () => {
            this.#calls.delete(call);
            handler.onClose();
          },
        };
      },
    };
  }

  /** To be called about every 100 ms. */
  tick(): void {
    const { clock, consensus } = this.#context;
    const nowMs = clock.monotonicMs();
    this.#leaderlessSinceMs = consensus.leader() === null ? (this.#leaderlessSinceMs ?? nowMs) : null;
    if (this.#leaderlessSinceMs === null) return;
    if (nowMs - this.#leaderlessSinceMs < LEADERLESS_TIMEOUTS * consensus.electionTimeoutMs) return;
    for (const call of this.#calls) fail(call, EtcdErrors.noLeader);
  }
}
