/**
 * The loop that an operator leaves running during a change: `etcdctl put` through the load balancer, the next one as soon
 * as the last has returned, each with a timeout of 8 s and a connection of its own.
 */
import type { ClusterFixture } from "./cluster-fixture.ts";

type Attempt = { readonly startedMs: number; readonly endedMs: number; readonly failure: string | null };

export type LoopReport = {
  readonly written: number;
  readonly failures: readonly string[];
  /** Between the ends of two writes that succeeded. */
  readonly longestGapMs: number;
  /** How long a single write took in the middle of the row. */
  readonly medianMs: number;
};

export class WriteLoop {
  readonly #attempts: Attempt[] = [];
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(cluster: ClusterFixture, name = "loop") {
    this.#running = this.#run(cluster, name);
  }

  get written(): number {
    return this.#attempts.filter(({ failure }) => failure === null).length;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** What was seen between two moments (of performance.now), with the writes at their edges. */
  report(fromMs: number, untilMs: number): LoopReport {
    const seen = this.#attempts.filter(({ startedMs, endedMs }) => endedMs > fromMs && startedMs < untilMs);
    const written = seen.filter(({ failure }) => failure === null);
    const gaps = written.slice(1).map(({ endedMs }, at) => endedMs - written[at]!.endedMs);
    const times = written.map(({ startedMs, endedMs }) => endedMs - startedMs).sort((a, b) => a - b);
    return {
      written: written.length,
      failures: seen.flatMap(({ failure }) => (failure === null ? [] : [failure])),
      longestGapMs: Math.round(Math.max(0, ...gaps)),
      medianMs: Math.round(times[times.length >> 1] ?? 0),
    };
  }

  async #run(cluster: ClusterFixture, name: string): Promise<void> {
    for (let i = 0; !this.#stopped; i += 1) {
      const startedMs = performance.now();
      const { code, stderr } = await cluster.etcdctl(["--command-timeout=8s", "put", `/${name}/${i}`, String(i)]);
      const failure = code === 0 ? null : `write ${i} at ${new Date().toISOString()}: ${code} ${stderr.trim()}`;
      this.#attempts.push({ startedMs, endedMs: performance.now(), failure });
    }
  }
}
