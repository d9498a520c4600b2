import { describe, expect, it } from "vitest";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { WriteProbe } from "./write-probe.ts";

/** Writes that are answered by `answer`, after as many milliseconds as it says; a negative number fails. */
function probed(clock: VirtualClock, answer: (atMs: number) => number): WriteProbe {
  const put = async (): Promise<void> => {
    const delayMs = answer(clock.monotonicMs());
    await clock.sleep(Math.abs(delayMs));
    if (delayMs < 0) throw new Error("context deadline exceeded");
  };
  return new WriteProbe({ put, close: () => undefined } as unknown as ControlPlane, clock);
}

describe("WriteProbe", () => {
  it("T10: goes on writing while one write is blocked", async () => {
    const clock = new VirtualClock();
    const probe = probed(clock, (atMs) => (atMs === 0 ? -2_000 : 10));
    await clock.sleep(2_100);
    // Only the first one failed, and the others went through all the time.
    expect(await probe.stop()).toMatchObject({ failed: 1, longestGapMs: 60 });
  });

  it("R38: tells of a run in which nothing went through", async () => {
    const clock = new VirtualClock();
    const probe = probed(clock, () => -2_000);
    await clock.sleep(5_000);
    const availability = await probe.stop();
    expect(availability).toMatchObject({
      longestGapMs: availability?.measuredMs,
      unavailableMs: availability?.measuredMs,
    });
    expect(availability?.failed).toBe(availability?.attempts);
  });

  it("T10: sees a gap that lasts until the end", async () => {
    const clock = new VirtualClock();
    const probe = probed(clock, (atMs) => (atMs < 1_000 ? 10 : -2_000));
    await clock.sleep(3_000);
    const availability = (await probe.stop())!;
    expect(availability.longestGapMs).toBeGreaterThanOrEqual(2_000);
    expect(availability.unavailableMs).toBe(availability.longestGapMs);
  });
});
