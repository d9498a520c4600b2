/** Writes a counter all the time while apply is at work, so that it can say how long nobody could write. */
import type { Clock } from "../base/clock.ts";
import { loadBalancerAddress } from "../plan/desired-resources.ts";
import { clientUrl, clusterEndpoint } from "../units/addresses.ts";
import type { WriteAvailability } from "./apply-event.ts";
import type { ControlPlane } from "./ports.ts";
import type { StepContext } from "./step-context.ts";

export const probeKey = "/haplan/probe";
const probeIntervalMs = 200;
const probeTimeoutMs = 2_000;

/**
 * Through the load balancer where it is not itself what is being changed: as the cluster's users see it. Null where there
 * will be nothing to write to, and where nothing can be measured: that is no reason not to apply.
 */
export async function openWriteProbe(
  context: Pick<StepContext, "plan" | "ports" | "keeper" | "connection">,
): Promise<WriteProbe | null> {
  const { plan, ports, keeper, connection } = context;
  if (plan.mode === "destroy") return null;
  const { spec, steps } = plan;
  const kinds = new Set(steps.map((step) => step.action.kind));
  const steady = keeper.find(loadBalancerAddress) !== undefined;
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
  private attempts = 0;
  private failed = 0;
  private longestGapMs = 0;
  private unavailableMs = 0;
  private lastSuccess: number | null = null;
  private failedSinceSuccess = false;

  /** The connection becomes the probe's, which closes it in the end. */
  constructor(controlPlane: ControlPlane, clock: Clock) {
    this.controlPlane = controlPlane;
    this.clock = clock;
    this.running = this.run();
  }

  /** Ends the probe and tells what it saw; null when it never came to write. */
  async stop(): Promise<WriteAvailability | null> {
    this.stopping.abort();
    await this.running;
    this.controlPlane.close();
    const { attempts, failed, longestGapMs, unavailableMs } = this;
    return attempts === 0 ? null : { attempts, failed, longestGapMs, unavailableMs };
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const started = this.clock.monotonicMs();
      const succeeded = await this.write();
      this.account(succeeded, this.clock.monotonicMs());
      const rest = Math.max(1, probeIntervalMs - (this.clock.monotonicMs() - started));
      await this.clock.sleep(rest, this.stopping.signal).catch(() => undefined);
    }
  }

  private async write(): Promise<boolean> {
    try {
      await this.controlPlane.put(probeKey, String(this.attempts + 1), probeTimeoutMs);
      return true;
    } catch {
      return false;
    }
  }

  /** A gap lasts from one success to the next; it counts as unavailable when an attempt failed within it. */
  private account(succeeded: boolean, now: number): void {
    this.attempts += 1;
    if (!succeeded) {
      this.failed += 1;
      this.failedSinceSuccess = true;
      return;
    }
    if (this.lastSuccess !== null) {
      const gap = now - this.lastSuccess;
      this.longestGapMs = Math.max(this.longestGapMs, gap);
      if (this.failedSinceSuccess) this.unavailableMs += gap;
    }
    this.failedSinceSuccess = false;
    this.lastSuccess = now;
  }
}
