/** A cluster that a migration has frozen: its clients are at another one, so it must take no writes until haplan says so. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { freeze, isFrozen, unfreeze } from "../../src/migrate/cluster-calls.ts";
import { openClusterEnd } from "../../src/migrate/cluster-end.ts";
import { AgentsInProcess } from "./agents-in-process.ts";

const checkIntervalMs = 100;
let members: AgentsInProcess;

beforeEach(async () => {
  members = await AgentsInProcess.start("127.77.25.206", [`--corrupt-check-time=${checkIntervalMs}ms`]);
});

afterEach(() => members.remove());

it("14/4: stays frozen when its members find that they agree", async () => {
  const end = openClusterEnd({ endpoints: members.places.map(({ client }) => client), tls: null, user: null });
  try {
    await freeze(end);
    const compared = (): number => members.logged.filter((line) => line.includes("all members agree")).length;
    await sleep(20 * checkIntervalMs);
    expect(compared()).toBe(0);
    expect(await isFrozen(end)).toBe(true);
    for (const client of members.clients) await expect(client.put("k", "v")).rejects.toThrow("corrupt cluster");
    await unfreeze(end);
    await members.writeThrough(0);
  } finally {
    await end.close();
  }
});
