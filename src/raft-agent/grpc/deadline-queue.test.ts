import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { DeadlineQueue, type Expiring } from "./deadline-queue.ts";
import { decodeStatusMessage, encodeStatusMessage } from "./status-message.ts";
import { formatTimeout, parseTimeout } from "./timeout.ts";

describe("deadline queue", () => {
  it("fires the remaining calls in the order of deadlines", () => {
    vi.useFakeTimers();
    try {
      const step = fc.record({ deadlineMs: fc.integer({ min: 0, max: 1_000 }), removed: fc.boolean() });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
          const startMs = Date.now();
          const queue = new DeadlineQueue(() => Date.now() - startMs);
          const fired: number[] = [];
          const calls = steps.map(
            ({ deadlineMs }): Expiring => ({ deadlineMs, deadlineSlot: -1, onDeadline: () => fired.push(deadlineMs) }),
          );
          for (const call of calls) queue.add(call);
          steps.forEach((planned, i) => {
            if (planned.removed) queue.remove(calls[i]!);
          });
          vi.advanceTimersByTime(1_001);
          const expected = steps.filter((planned) => !planned.removed).map((planned) => planned.deadlineMs);
          expect(fired).toEqual(expected.sort((a, b) => a - b));
          expect(queue.size).toBe(0);
          expect(calls.every((call) => call.deadlineSlot === -1)).toBe(true);
          queue.clear();
        }),
      );
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("grpc-timeout", () => {
  it("parses every unit and rejects unknown ones", () => {
    const rows: [string, number | undefined][] = [
      ["1H", 3_600_000],
      ["2M", 120_000],
      ["3S", 3_000],
      ["4m", 4],
      ["5000u", 5],
      ["6000000n", 6],
      ["0n", 0],
      ["", undefined],
      ["5", undefined],
      ["m", undefined],
      ["-1m", undefined],
      ["123456789m", undefined],
    ];
    for (const [text, ms] of rows) expect(parseTimeout(text)).toBe(ms);
  });

  it("round-trips, never shorter than the input", () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 9e10, noNaN: true }), (ms) => {
        expect(parseTimeout(formatTimeout(ms))).toBeGreaterThanOrEqual(ms);
      }),
    );
  });
});

describe("grpc-message", () => {
  it("round-trips every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const encoded = encodeStatusMessage(text);
        expect(encoded).toMatch(/^[ -~]*$/);
        expect(decodeStatusMessage(encoded)).toBe(text);
      }),
    );
  });

  it("keeps broken escapes as they are", () => {
    expect(decodeStatusMessage("100%")).toBe("100%");
    expect(decodeStatusMessage("%zz%41")).toBe("%zzA");
  });
});
