/**
 * Streams with the metadata `hasleader: true` are ended when the cluster has had no leader for a while, so that the
 * client switches to a member that has one (etcd server/etcdserver/api/v3rpc/interceptor.go).
 */
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { OpenCalls } from "./open-calls.ts";
import type { StreamMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

/** etcd's: election timeouts without a leader after which such a stream is ended. */
const leaderlessTimeouts = 3;

export class RequireLeaderStreams {
  readonly #context: ServiceContext;
  readonly #calls = new OpenCalls();
  #leaderlessSinceMs: number | null = null;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** The same method, with its open calls monitored. */
  bind(method: StreamMethod): StreamMethod {
    return {
      ...method,
      open: (call) => {
        const handler = method.open(call);
        return call.header("hasleader") === "true" ? this.#calls.add(call, handler) : handler;
      },
    };
  }

  /** Called about every 100 ms. */
  tick(): void {
    const { clock, consensus } = this.#context;
    const nowMs = clock.monotonicMs();
    this.#leaderlessSinceMs = consensus.leader() === null ? (this.#leaderlessSinceMs ?? nowMs) : null;
    if (this.#leaderlessSinceMs === null) return;
    if (nowMs - this.#leaderlessSinceMs < leaderlessTimeouts * consensus.electionTimeoutMs) return;
    this.#calls.failAll(EtcdErrors.noLeader);
  }
}
