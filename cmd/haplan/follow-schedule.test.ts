import { expect, it } from "vitest";
import type { LogEvent } from "../../src/providers/log-entry.ts";
import type { CliContext } from "./cli-context.ts";
import { followSchedule } from "./follow-schedule.ts";
import type { Session } from "./session.ts";
import type { WatchedStatus } from "./watch-status.ts";

const startMs = Date.parse("2026-01-05T12:00:00Z");
const minuteMs = 60_000;

/** One member takes the backups; `reads` counts how often its log was read. */
function followed(log: readonly (readonly [atMinute: number, message: string])[]) {
  let nowMs = startMs;
  let reads = 0;
  const logs = async function* (): AsyncGenerator<LogEvent> {
    reads += 1;
    for (const [minute, message] of log)
      if (startMs + minute * minuteMs <= nowMs)
        yield { machine: "m1", unit: "agent", timeMs: startMs + minute * minuteMs, message };
    yield "current";
  };
  const clock = { now: () => nowMs, monotonicMs: () => nowMs };
  const context = { clock, stop: { signal: new AbortController().signal } } as unknown as CliContext;
  const sessionOf = (schedule: object | undefined): Session =>
    ({
      spec: {
        backup: schedule === undefined ? undefined : { schedule },
        controlPlane: { masters: [{ name: "m1" }] },
      },
      provider: { logs },
    }) as unknown as Session;
  return {
    context,
    sessionOf,
    reads: () => reads,
    /** Looks at these seconds after the start. */
    async *looks(session: Session, seconds: readonly number[]): AsyncGenerator<WatchedStatus> {
      for (const second of seconds) {
        nowMs = startMs + second * 1_000;
        // What is read in the background is there at the next look.
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield { session, changes: [], timeMs: nowMs } as unknown as WatchedStatus;
      }
    },
  };
}

const taken = '{"msg":"took a backup"}';
const failed = '{"msg":"could not take a backup","error":"no space left on device"}';

it("14/9: each look has the last backup of the schedule, and the logs are read once in a while", async () => {
  const { context, sessionOf, looks, reads } = followed([
    [0, taken],
    [1, failed],
  ]);
  const seen: unknown[] = [];
  const session = sessionOf({ everyMinutes: 1 });
  for await (const { scheduled, changes } of followSchedule(context, looks(session, [1, 2, 3, 65, 66, 67, 68])))
    seen.push([scheduled?.outcome?.failure, ...changes.map(({ text }) => text)]);
  expect(seen).toEqual([
    [null],
    [null],
    [null],
    [null],
    ["no space left on device", "m1 could not take a backup: no space left on device"],
    ["no space left on device"],
    ["no space left on device"],
  ]);
  expect(reads()).toBe(2);
});

it("reads no log without a schedule", async () => {
  const { context, sessionOf, looks, reads } = followed([[0, taken]]);
  for await (const { scheduled, changes } of followSchedule(context, looks(sessionOf(undefined), [1, 40])))
    expect([scheduled, changes]).toEqual([null, []]);
  expect(reads()).toBe(0);
});
