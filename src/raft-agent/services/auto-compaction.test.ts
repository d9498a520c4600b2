import { describe, expect, it } from "vitest";
import { createHarness, type Harness } from "../../../test/support/single-member.ts";
import { encodePutRequest } from "../api/put.ts";
import { emptyBytes } from "../api/wire.ts";
import type { AutoCompactionMode } from "./auto-compaction.ts";

const minuteMs = 60_000;

async function write(harness: Harness): Promise<void> {
  const request = { key: Buffer.from("a"), value: emptyBytes, lease: 0n };
  const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
  await harness.unary("/etcdserverpb.KV/Put", encodePutRequest({ ...request, ...flags }));
}

/** Writes once per minute and returns what was compacted after each. */
async function liveFor(minutes: number, autoCompaction: AutoCompactionMode, leads = true): Promise<number[]> {
  const harness = await createHarness({ autoCompaction });
  const compacted: number[] = [];
  for (let minute = 1; minute <= minutes; minute++) {
    await write(harness);
    if (!leads) harness.consensus.leader = "00000000000000aa";
    for (let step = 0; step < 10; step++) {
      harness.clock.nowMs += minuteMs / 10;
      harness.services.tick();
    }
    if (!leads) harness.consensus.leader = harness.services.context.consensus.memberId;
    await new Promise((resolve) => setImmediate(resolve));
    compacted.push(harness.services.machine.store.compactedRevision);
  }
  return compacted;
}

describe("automatic compaction", () => {
  it("periodic mode keeps what is younger than the retention", async () => {
    const compacted = await liveFor(12, { mode: "periodic", retentionMs: 5 * minuteMs });
    expect(compacted.slice(0, 4)).toEqual([-1, -1, -1, -1]);
    const last = compacted.at(-1)!;
    // Revision 13 is from the twelfth minute; five minutes and at most one interval stay.
    expect(last).toBeGreaterThanOrEqual(3);
    expect(last).toBeLessThanOrEqual(8);
  });

  it("periodic mode with a long retention compacts once per hour", async () => {
    const compacted = await liveFor(240, { mode: "periodic", retentionMs: 120 * minuteMs });
    expect(compacted[118]).toBe(-1);
    const changes = new Set(compacted.filter((revision) => revision > 0));
    expect(changes.size).toBe(3);
  });

  it("revision mode keeps the last revisions, every five minutes", async () => {
    const compacted = await liveFor(16, { mode: "revision", revisions: 3 });
    expect(compacted.slice(0, 4)).toEqual([-1, -1, -1, -1]);
    expect(new Set(compacted.slice(4))).toEqual(new Set([3, 8, 13]));
  });

  it("runs only on the leader", async () => {
    expect(await liveFor(12, { mode: "revision", revisions: 3 }, false)).toEqual(Array(12).fill(-1));
  });

  it("is off by default", async () => {
    expect(await liveFor(12, { mode: "off" })).toEqual(Array(12).fill(-1));
  });
});
