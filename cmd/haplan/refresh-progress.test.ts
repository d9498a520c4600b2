import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/base/clock.ts";
import { fixtureSpec, settledState } from "../../test/support/planned-cluster.ts";
import { noDebugLog } from "./debug-log.ts";
import { Invocation } from "./invocation.ts";
import { withRefreshProgress } from "./refresh-progress.ts";
import { Reporter } from "./reporter.ts";
import { createScriptedTerminal } from "./terminal.fake.ts";

/** A clock that the test advances. */
function heldClock(): Clock & { readonly advance: (ms: number) => Promise<void> } {
  let now = 0;
  let sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  return {
    now: () => now,
    monotonicMs: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
        sleepers.push({ at: now + ms, wake: resolve });
      }),
    advance: async (ms) => {
      now += ms;
      const due = sleepers.filter(({ at }) => at <= now);
      sleepers = sleepers.filter(({ at }) => at > now);
      for (const { wake } of due) wake();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const state = settledState(fixtureSpec(["m1", "m2", "m3"]));
const urls = state.resources
  .filter(({ type }) => type === "haplan_raft_member")
  .map(({ attributes }) => String(attributes["clientUrl"]));

function looking(live: boolean, json: boolean) {
  const terminal = createScriptedTerminal(null, live);
  const clock = heldClock();
  const reporter = new Reporter(terminal, clock, new Invocation([]), noDebugLog);
  reporter.configure(json ? "document" : "none", {}, { cwd: "/", version: "1" });
  const answer = { resolve: (_: string) => {}, reject: (_: Error) => {} };
  const answered = new Promise<string>((resolve, reject) => Object.assign(answer, { resolve, reject }));
  const told: { probe?: (endpoint: string, ended: boolean) => void } = {};
  const result = withRefreshProgress({ terminal, reporter, clock }, state, (onProbe) => {
    told.probe = onProbe;
    for (const url of urls) onProbe(url, false);
    return answered;
  });
  return { terminal, clock, answer, result, told };
}

describe("T low: while haplan refreshes", () => {
  it("a terminal shows after a second which members have not answered, and clears it afterwards", async () => {
    const { terminal, clock, answer, result, told } = looking(true, false);
    await clock.advance(999);
    expect(terminal.statuses).toEqual([]);
    told.probe?.(urls[0] ?? "", true);
    await clock.advance(1);
    expect(terminal.statuses).toEqual([
      `Refreshing... (1.0s)\n  m2 at ${urls[1]} has not answered yet\n  m3 at ${urls[2]} has not answered yet`,
    ]);
    told.probe?.(urls[1] ?? "", true);
    await clock.advance(500);
    expect(terminal.statuses.at(-1)).toBe(`Refreshing... (1.5s)\n  m3 at ${urls[2]} has not answered yet`);
    answer.resolve("seen");
    expect(await result).toBe("seen");
    expect(terminal.statuses.at(-1)).toBe("");
    expect(terminal.errors()).toBe("");
  });

  it.each([
    ["no terminal", false, false],
    ["-json", true, true],
  ])("nothing is shown with %s", async (_, live, json) => {
    const { terminal, clock, answer, result } = looking(live, json);
    await clock.advance(5000);
    answer.resolve("seen");
    await result;
    expect(terminal.statuses).toEqual([]);
  });

  it("an error clears it as well", async () => {
    const { terminal, clock, answer, result } = looking(true, false);
    await clock.advance(1000);
    answer.reject(new Error("no"));
    await expect(result).rejects.toThrow("no");
    expect(terminal.statuses.at(-1)).toBe("");
  });
});
