/** Writes a counter all the time while apply is at work, so that it can say how long nobody could write. */
import type { Clock } from "../base/clock.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { loadBalancerAddress } from "../plan/desired-resources.ts";
import { clientUrl, clusterEndpoint } from "../units/addresses.ts";
import type { WriteAvailability } from "./apply-event.ts";
import type { StepContext } from "./step-context.ts";
import { type Stall, type WriteAttempt, writeAvailability } from "./write-availability.ts";

const probeKey = "/haplan/probe";
/** Fine enough to tell a gap of some hundred milliseconds within a fifth. */
const probeIntervalMs = 50;
/** A timer may be late by less than this on any machine. */
const stallMs = 20;
const probeTimeoutMs = 2_000;

/**
 * Through the load balancer where it is not itself what is being changed: as the cluster's users see it. Null where
 * nothing can be measured: that is no reason not to apply.
 */
export async function openWriteProbe(
  context: Pick<StepContext, "plan" | "ports" | "keeper" | "connection">,
): Promise<WriteProbe | null> {
  const { plan, ports, keeper, connection } = context;
  const { spec, steps } = plan;
  const kinds = new Set(steps.map((step) => step.action.kind));
  const steady = keeper.find(loadBalancerAddress)?.attributes["endpoint"] === clusterEndpoint(spec);
  const balanced = steady && !kinds.has("startLoadBalancer") && !kinds.has("stopLoadBalancer");
  const endpoints = balanced
    ? [clusterEndpoint(spec)]
    : spec.controlPlane.masters.map((master) => clientUrl(spec, master));
  try {
    return new WriteProbe(ports.connect({ endpoints, tls: await connection.tls() }), ports.clock);
  } catch {
    return null;
  }
}

export class WriteProbe {
  private readonly clock: Clock;
  private readonly controlPlane: ControlPlane;
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;
  private readonly attempts: WriteAttempt[] = [];
  private readonly stalls: Stall[] = [];
  private readonly startedMs: number;

  /** The connection becomes the probe's, which closes it in the end. */
  constructor(controlPlane: ControlPlane, clock: Clock) {
    this.controlPlane = controlPlane;
    this.clock = clock;
    this.startedMs = clock.monotonicMs();
    this.running = this.run();
  }

  /** Ends the probe and tells what it saw; null when it never came to write. */
  async stop(): Promise<WriteAvailability | null> {
    this.stopping.abort();
    await this.running;
    this.controlPlane.close();
    if (this.attempts.length === 0) return null;
    const run = { startedMs: this.startedMs, endedMs: this.clock.monotonicMs() };
    return writeAvailability(this.attempts, run, this.stalls);
  }

  /** Writes begin at a steady rate: one that is not answered does not keep the next one back. */
  private async run(): Promise<void> {
    const pending = new Set<Promise<void>>();
    for (let number = 1; !this.stopping.signal.aborted; number += 1) {
      const write = this.write(number).finally(() => pending.delete(write));
      pending.add(write);
      await this.sleep();
    }
    await Promise.all(pending);
  }

  /** A pause that takes much longer than asked for shows that this process was busy, or was not run at all. */
  private async sleep(): Promise<void> {
    const dueMs = this.clock.monotonicMs() + probeIntervalMs;
    await this.clock.sleep(probeIntervalMs, this.stopping.signal).catch(() => undefined);
    const nowMs = this.clock.monotonicMs();
    if (nowMs - dueMs > stallMs) this.stalls.push({ fromMs: dueMs, untilMs: nowMs });
  }

  private async write(number: number): Promise<void> {
    const startedMs = this.clock.monotonicMs();
    const put = this.controlPlane.put(probeKey, String(number), probeTimeoutMs);
    const succeeded = await put.then(
      () => true,
      () => false,
    );
    this.attempts.push({ startedMs, endedMs: this.clock.monotonicMs(), succeeded });
  }
}
