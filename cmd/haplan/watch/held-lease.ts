/** The lease of this watcher, with the members that there are at the moment. */
import { hostname } from "node:os";
import { errorText } from "../../../src/base/haplan-error.ts";
import type { WatcherLease } from "../../../src/control-plane/watcher-lease.ts";
import { clientMaterial, type Session } from "../session.ts";
import type { WatchLog } from "./watch-log.ts";

/** A watcher that misses three looks is taken for dead. */
const looksPerLease = 3;
const leaseSecondsMin = 5;

/** `unknown`: no member has said which watcher has it. */
export type Leadership = "active" | "standby" | "unknown";

export class HeldLease {
  readonly #log: WatchLog;
  readonly #ttlSeconds: number;
  #open: { readonly endpoints: string; readonly lease: WatcherLease } | null = null;

  constructor(log: WatchLog, intervalMs: number) {
    this.#log = log;
    this.#ttlSeconds = Math.max(leaseSecondsMin, Math.ceil((looksPerLease * intervalMs) / 1000));
  }

  /** Takes or renews it. */
  async hold(session: Session, endpoints: readonly string[]): Promise<Leadership> {
    try {
      const lease = await this.#leaseAt(session, endpoints);
      const state = await lease.hold();
      if (state.held) {
        this.#log.tellOnce("lease", { event: "active", message: "this watcher repairs the cluster" });
        return "active";
      }
      const other = state.holder ?? "another watcher";
      this.#log.tellOnce("lease", { event: "standby", message: `${other} watches the cluster: this one waits` });
      return "standby";
    } catch (error) {
      const message = `no member says which watcher repairs the cluster: ${errorText(error)}`;
      this.#log.tellOnce("lease", { event: "trouble", message });
      return "unknown";
    }
  }

  /** Renews it during `work`, which may take longer than the lease, and change the members. */
  async during(work: () => Promise<void>): Promise<void> {
    const keeping = setInterval(
      () => void this.#open?.lease.hold().catch(() => undefined),
      (leaseSecondsMin * 1000) / looksPerLease,
    );
    try {
      await work();
    } finally {
      clearInterval(keeping);
    }
  }

  /** Gives it back. */
  async close(): Promise<void> {
    await this.#open?.lease.close().catch(() => undefined);
    this.#open = null;
  }

  async #leaseAt(session: Session, endpoints: readonly string[]): Promise<WatcherLease> {
    const wanted = endpoints.toSorted().join();
    if (this.#open?.endpoints === wanted) return this.#open.lease;
    const tls = await clientMaterial(session);
    await this.close();
    const holder = `${hostname()} (pid ${process.pid})`;
    const options = { holder, ttlSeconds: this.#ttlSeconds };
    const lease = session.dependencies.openWatcherLease({ endpoints, tls }, options);
    this.#open = { endpoints: wanted, lease };
    return lease;
  }
}
