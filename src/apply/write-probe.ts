/** Writes a counter all the time while apply is at work, so that it can say how long nobody could write. */
import type { Clock } from "../base/clock.ts";
import type { WriteAvailability } from "./apply-event.ts";
import type { ControlPlane } from "./ports.ts";

export const probeKey = "/haplan/probe";
const probeIntervalMs = 200;
const probeTimeoutMs = 2_000;

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

  private failedSinceSuccess = false;
}
