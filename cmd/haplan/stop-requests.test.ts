import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { StopRequests } from "./stop-requests.ts";

type Event = "SIGINT" | "SIGTERM" | "SIGHUP" | "output lost" | number;

/** Sends events to a run, numbers being milliseconds that pass, and returns the outcome. */
async function play(
  events: readonly Event[],
  holding: boolean,
): Promise<{ left: boolean; stopped: boolean; said: number }> {
  let nowMs = 1000;
  let left = false;
  let said = 0;
  const stop = new StopRequests({ leave: () => (left = true), say: () => (said += 1), monotonicMs: () => nowMs });
  const send = async (): Promise<void> => {
    for (const event of events) {
      if (typeof event === "number") nowMs += event;
      else if (event === "output lost") stop.outputLost("EPIPE");
      else stop.receive(event);
      await sleep(0);
    }
  };
  await (holding ? stop.hold(send) : send());
  return { left, stopped: stop.signal.aborted, said };
}

describe("a request to stop", () => {
  const cases: readonly (readonly [holding: boolean, events: readonly Event[], outcome: string])[] = [
    [false, ["SIGINT"], "leaves"],
    [false, ["SIGTERM"], "leaves"],
    [false, ["SIGHUP"], "leaves"],
    [false, ["output lost"], "goes on"],
    [true, ["SIGINT"], "stops"],
    [true, ["SIGTERM"], "stops"],
    [true, ["SIGHUP"], "stops"],
    [true, ["output lost"], "stops"],
    [true, ["SIGINT", 300, "SIGINT"], "leaves"],
    [true, ["SIGTERM", 300, "SIGINT"], "leaves"],
    // npx forwards a signal that the terminal has already sent.
    [true, ["SIGINT", 20, "SIGINT"], "stops"],
    // The shell and the kernel both signal a closed terminal, and writes to it fail as well.
    [true, ["SIGHUP", 500, "SIGHUP", "output lost"], "stops"],
    [true, ["output lost", "output lost"], "stops"],
    [true, ["output lost", 500, "SIGINT"], "leaves"],
  ];
  it.each(cases)("R8 T15: while a lock is held = %s, %j: %s", async (holding, events, outcome) => {
    const { left, stopped } = await play(events, holding);
    expect(left ? "leaves" : stopped ? "stops" : "goes on").toBe(outcome);
  });

  it("is printed once", async () => {
    expect(await play(["SIGHUP", "SIGHUP", "output lost"], true)).toMatchObject({ said: 1 });
  });

  it("has nothing to finish after the lock was released", async () => {
    let left = false;
    const stop = new StopRequests({ leave: () => (left = true), say: () => {}, monotonicMs: () => 0 });
    await stop.hold(async () => {});
    await expect(stop.hold(() => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    stop.receive("SIGTERM");
    expect(left).toBe(true);
  });
});
