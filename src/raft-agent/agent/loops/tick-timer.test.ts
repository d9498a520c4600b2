import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { settledTicks, TickTimer } from "./tick-timer.ts";

describe("tick timer", () => {
  let ticks: number[] = [];
  const timer = new TickTimer({ tickMs: 10, settledTicks: 5, onTicks: (count) => ticks.push(count) });

  beforeEach(() => {
    vi.useFakeTimers();
    ticks = [];
  });

  afterEach(() => {
    timer.stop();
    vi.useRealTimers();
  });

  it("delivers single ticks while no leader is known, and several at once while one is", () => {
    timer.start();
    vi.advanceTimersByTime(50);
    expect(ticks).toEqual([1, 1, 1, 1, 1]);
    timer.settle(true);
    vi.advanceTimersByTime(100);
    expect(ticks.slice(5)).toEqual([5, 5]);
  });

  it("starts with a whole tick when the leader is lost in the middle of several", () => {
    timer.settle(true);
    timer.start();
    vi.advanceTimersByTime(49);
    timer.settle(false);
    vi.advanceTimersByTime(9);
    expect(ticks).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ticks).toEqual([1]);
  });

  it("is silent before its start and after its stop", () => {
    timer.settle(false);
    timer.settle(true);
    vi.advanceTimersByTime(200);
    timer.start();
    timer.stop();
    vi.advanceTimersByTime(200);
    expect(ticks).toEqual([]);
  });

  it.each([
    [10, 100, 5],
    [10, 55, 2],
    [10, 10, 1],
    [10, 1000, 5],
    [100, 100, 1],
  ])("delivers ticks of %i ms, with a heartbeat every %i ms, %i at once", (tickMs, heartbeatIntervalMs, expected) => {
    expect(settledTicks(tickMs, heartbeatIntervalMs)).toBe(expected);
  });
});
