/**
 * The members, and with Kubernetes also its API servers: two groups of backends behind ports of their own, each with its
 * own health check. One of them that has no backend left does not affect the other.
 */
import { type BackendGroup, LoadBalancer, type LoadBalancerLog } from "./load-balancer.ts";
import type { LoadedLoadBalancerConfig } from "./load-balancer-config.ts";
import type { LoadBalancerStatus } from "./load-balancer-status.ts";

export class LoadBalancerGroups implements AsyncDisposable {
  readonly #log: LoadBalancerLog;
  readonly #members: LoadBalancer;
  #apiServers: LoadBalancer | null = null;
  #listens: readonly string[] = [];

  private constructor(members: LoadBalancer, log: LoadBalancerLog) {
    this.#members = members;
    this.#log = log;
  }

  /** @throws HaplanError `load-balancer/cannot-listen`; nothing is left listening then. */
  static async start(loaded: LoadedLoadBalancerConfig, log: LoadBalancerLog): Promise<LoadBalancerGroups> {
    const groups = new LoadBalancerGroups(await LoadBalancer.start(membersOf(loaded), log), log);
    try {
      await groups.#configureApiServers(loaded);
    } catch (error) {
      await groups[Symbol.asyncDispose]();
      throw error;
    }
    groups.#listens = loaded.config.listens;
    return groups;
  }

  async reconfigure(loaded: LoadedLoadBalancerConfig): Promise<void> {
    await this.#members.reconfigure(membersOf(loaded));
    this.#listens = loaded.config.listens;
    await this.#configureApiServers(loaded);
  }

  status(): Omit<LoadBalancerStatus, "pid" | "updatedAt"> {
    return {
      listens: this.#listens,
      ...this.#members.counters(),
      backends: this.#members.backends(),
      ...(this.#apiServers === null ? {} : { apiServers: this.#apiServers.backends() }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#members[Symbol.asyncDispose](), this.#apiServers?.[Symbol.asyncDispose]()]);
  }

  async #configureApiServers({ config: { apiServers, virtual } }: LoadedLoadBalancerConfig): Promise<void> {
    const running = this.#apiServers;
    if (apiServers === undefined) {
      this.#apiServers = null;
      await running?.[Symbol.asyncDispose]();
      return;
    }
    const group: BackendGroup = { config: apiServers, tls: "unverified", isVirtual: virtual !== undefined };
    if (running === null) this.#apiServers = await LoadBalancer.start(group, this.#log);
    else await running.reconfigure(group);
  }
}

/** Whether the load balancer serves is told by the members: an API server needs them. */
function membersOf({ config, tls }: LoadedLoadBalancerConfig): BackendGroup {
  const { virtual, hold } = config;
  const group = { config, tls, ...(hold === undefined ? {} : { hold }) };
  return virtual === undefined ? group : { ...group, isVirtual: true, healthListen: virtual.healthListen };
}
