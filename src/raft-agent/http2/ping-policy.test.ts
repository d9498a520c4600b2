import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { etcdKeepalive, IdlePing } from "./ping-policy.ts";

it.each([2 ** 31, 3_600_000_000, Number.MAX_SAFE_INTEGER])(
  "a client is not pinged at once when the idle time exceeds the maximum timer (%d ms)",
  async (intervalMs) => {
    const calls: string[] = [];
    const ping = new IdlePing(
      { ...etcdKeepalive, intervalMs },
      () => calls.push("ping"),
      () => calls.push("dead"),
    );
    await pause(20);
    ping.stop();
    expect(calls).toEqual([]);
  },
);
