import { describe, expect, it } from "vitest";
import { VirtualClock } from "../base/clock.fake.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { LogEntry, LogEvent, LogRequest } from "./log-entry.ts";
import { resumeLogs } from "./resume-logs.ts";

const entry = (timeMs: number, message: string, unit = "agent"): LogEntry => ({ machine: "m1", unit, timeMs, message });
const following: LogRequest = { unit: null, lines: 2, sinceMs: null, follow: true };

/** Each connection returns its events, and then breaks with its error, if it has one. */
type Connection = { readonly events: readonly LogEvent[]; readonly breaks?: HaplanError };

const lost = new HaplanError("provider/connection-lost", "the connection was lost");

type Outcome = {
  readonly shown: readonly string[];
  readonly said: readonly string[];
  readonly asked: readonly LogRequest[];
};

/** Ends once the last connection has. */
async function read(connections: readonly Connection[], request: LogRequest = following): Promise<Outcome> {
  const [shown, said, asked]: [string[], string[], LogRequest[]] = [[], [], []];
  const stop = new AbortController();
  async function* open(request: LogRequest): AsyncGenerator<LogEvent> {
    const connection = connections[asked.length];
    asked.push(request);
    yield* connection?.events ?? [];
    if (asked.length === connections.length && request.follow) stop.abort();
    if (connection?.breaks !== undefined) throw connection.breaks;
  }
  const clock = new VirtualClock();
  const log = resumeLogs({
    request,
    open,
    clock,
    signal: stop.signal,
    onLost: () => said.push("lost"),
    onResumed: () => said.push("resumed"),
  });
  for await (const event of log) shown.push(event === "current" ? "current" : `${event.unit} ${event.message}`);
  return { shown, said, asked };
}

describe("a log that is followed", () => {
  it("goes on where it was when its connection breaks, and returns each entry once", async () => {
    const before = [entry(100_000, "a"), entry(100_001, "b"), entry(100_001, "b")];
    const { shown, said, asked } = await read([
      { events: [...before, "current"], breaks: lost },
      { events: [...before, entry(100_001, "b"), entry(100_001, "c"), "current", entry(99_000, "clock set back")] },
    ]);
    expect(shown).toEqual(["agent a", "agent b", "agent b", "current", "agent b", "agent c", "agent clock set back"]);
    expect(said).toEqual(["lost", "resumed"]);
    expect(asked[1]).toEqual({ ...following, lines: null, sinceMs: 40_001 });
  });

  it("keeps an entry that another unit has logged before the last one", async () => {
    const { shown } = await read([
      { events: ["current", entry(100_000, "a"), entry(99_990, "x", "keepalived")], breaks: lost },
      { events: [entry(99_990, "x", "keepalived"), entry(99_995, "y", "keepalived"), entry(100_000, "a"), "current"] },
    ]);
    expect(shown).toEqual(["current", "agent a", "keepalived x", "keepalived y"]);
  });

  it("says once that a connection is lost, however often it is tried again, and asks anew for what was not shown", async () => {
    const { shown, said, asked } = await read([
      { events: [], breaks: lost },
      { events: [], breaks: new HaplanError("ssh/no-route", "no route to host") },
      { events: [entry(1, "a"), "current"], breaks: lost },
      { events: ["current"] },
    ]);
    expect(shown).toEqual(["agent a", "current"]);
    expect(said).toEqual(["lost", "resumed", "lost", "resumed"]);
    expect(asked[2]).toEqual(following);
  });

  it("ends where the machine is gone", async () => {
    const gone = new HaplanError("provider/no-machine", "there is no machine m1");
    await expect(
      read([
        { events: ["current"], breaks: lost },
        { events: [], breaks: gone },
      ]),
    ).rejects.toBe(gone);
  });
});

it("a log that is not followed fails with its connection", async () => {
  const once = { ...following, follow: false };
  await expect(read([{ events: [entry(1, "a")], breaks: lost }], once)).rejects.toBe(lost);
  expect(await read([{ events: [entry(1, "a"), "current"] }], once)).toMatchObject({ shown: ["agent a", "current"] });
});
