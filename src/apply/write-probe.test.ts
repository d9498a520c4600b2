import { describe, expect, it } from "vitest";
import { VirtualClock } from "../base/clock.fake.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { connectingClient, keptClient, type ProbeClient, WriteProbe } from "./write-probe.ts";

/** Writes that are answered by `answer`, after as many milliseconds as it says; a negative number fails. */
function controlPlane(clock: VirtualClock, answer: (atMs: number) => number, onClose = (): void => {}): ControlPlane {
  const put = async (): Promise<void> => {
    const delayMs = answer(clock.monotonicMs());
    await clock.sleep(Math.abs(delayMs));
    if (delayMs < 0) throw new Error("context deadline exceeded");
  };
  return { put, close: onClose } as unknown as ControlPlane;
}

const kept = (clock: VirtualClock, answer: (atMs: number) => number): ProbeClient =>
  keptClient(controlPlane(clock, answer));

const probed = (clock: VirtualClock, answer: (atMs: number) => number): WriteProbe =>
  new WriteProbe([kept(clock, answer)], clock);

describe("WriteProbe", () => {
  it("T10: goes on writing while one write is blocked", async () => {
    const clock = new VirtualClock();
    const probe = probed(clock, (atMs) => (atMs === 0 ? -2_000 : 10));
    await clock.sleep(2_100);
    // Only the first one failed, and the others went through all the time.
    expect(await probe.stop()).toMatchObject({ failed: 1, longestGapMs: 30 });
  });

  it("T10: begins four times as many writes while it looks closely", async () => {
    const clock = new VirtualClock();
    const probe = probed(clock, () => 1);
    await clock.sleep(1_000);
    probe.setPace("dense");
    await clock.sleep(1_000);
    probe.setPace("steady");
    await clock.sleep(1_000);
    const availability = (await probe.stop())!;
    expect(Math.abs(availability.attempts - (50 + 200 + 50))).toBeLessThanOrEqual(5);
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

  it("T10: tells of the client that fares worst", async () => {
    const clock = new VirtualClock();
    // What begins within a moment of the second client's waits for the end of it.
    const slow = (atMs: number): number => (atMs >= 1_000 && atMs < 1_400 ? 1_410 - atMs : 10);
    const probe = new WriteProbe([kept(clock, () => 10), kept(clock, slow), kept(clock, () => 10)], clock);
    await clock.sleep(3_000);
    const availability = (await probe.stop())!;
    expect(availability).toMatchObject({ failed: 0, unavailableMs: 0 });
    expect(availability.longestGapMs).toBeGreaterThan(410 - 60);
    expect(availability.longestGapMs).toBeLessThanOrEqual(410);
  });

  it("B1: ends the wait of the endpoint's client with the first write through the next endpoint", async () => {
    const clock = new VirtualClock();
    const gone = kept(clock, (atMs) => (atMs < 1_000 ? 5 : -1));
    const probe = new WriteProbe([kept(clock, () => 5)], clock, gone);
    await clock.sleep(1_400);
    probe.moveEndpoint(kept(clock, () => 5));
    await clock.sleep(1_000);
    const availability = (await probe.stop())!;
    expect(availability.failed).toBe(10);
    expect(availability.longestGapMs).toBe(availability.unavailableMs);
    expect(Math.abs(availability.longestGapMs - 400)).toBeLessThanOrEqual(40);
    expect(availability.attempts).toBe(120 + 60);
  });

  it("closes the connection of each write of a client that connects anew, also after a failure", async () => {
    const clock = new VirtualClock();
    const open = new Set<number>();
    let writes = 0;
    const client = connectingClient(() => {
      const write = writes++;
      open.add(write);
      return controlPlane(
        clock,
        () => (write % 2 === 0 ? 5 : -5),
        () => open.delete(write),
      );
    });
    const probe = new WriteProbe([client], clock);
    await clock.sleep(1_000);
    const availability = (await probe.stop())!;
    expect(availability.failed).toBe(Math.floor(availability.attempts / 2));
    expect(open.size).toBe(0);
  });

  const limited = (clock: VirtualClock, answer: (atMs: number) => number, told: number[]): WriteProbe =>
    new WriteProbe([kept(clock, answer)], clock, null, {
      maxGapMs: 500,
      onLongGap: (gapMs) => told.push(Math.round(clock.monotonicMs()), Math.round(gapMs)),
    });

  it("tells of a long gap while it lasts, whether the write is under way or has failed", async () => {
    for (const answerMs of [2_000, -30]) {
      const clock = new VirtualClock();
      const told: number[] = [];
      const probe = limited(clock, (atMs) => (atMs >= 1_000 && atMs < 2_000 ? answerMs : 5), told);
      await clock.sleep(2_500);
      expect(told[0]).toBeGreaterThan(1_500);
      expect(told[0]).toBeLessThan(1_560);
      expect(told[1]! - 500).toBeLessThan(40);
      await probe.stop();
    }
  });

  it("tells of no gap where many short ones follow each other, or each failure is followed by a success", async () => {
    const clock = new VirtualClock();
    const told: number[] = [];
    const probe = limited(clock, (atMs) => (Math.round(atMs / 20) % 3 === 0 ? -10 : 400), told);
    await clock.sleep(5_000);
    await probe.stop();
    expect(told).toEqual([]);
  });

  it("attributes gaps to the steps that ran meanwhile", async () => {
    const clock = new VirtualClock();
    const probe = probed(clock, (atMs) => (atMs >= 1_000 && atMs < 1_020 ? 600 : 5));
    await clock.sleep(500);
    probe.markStep("before", "started");
    await clock.sleep(400);
    probe.markStep("before", "ended");
    probe.markStep("slow", "started");
    await clock.sleep(1_000);
    const { steps } = (await probe.stop())!;
    expect(steps.map(({ id }) => id)).toEqual(["slow", "before"]);
    expect(Math.abs(steps[0]!.longestGapMs - 600)).toBeLessThan(25);
    expect(steps[1]!.longestGapMs).toBeLessThan(25);
  });
});
