/**
 * Members that come back with outdated data: restored from an older copy, or removed meanwhile. They stop with the
 * reason, and serve no stale data.
 */

import { cpSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../e2e/cluster-fixture.ts";
import { AgentsInProcess } from "./agents-in-process.ts";

let members: AgentsInProcess;

beforeAll(async () => {
  members = await AgentsInProcess.start("127.77.25.201", ["--strict-reconfig-check=false"]);
});

afterAll(() => members.remove());

/** Resolves with the member's message when it stopped by itself. */
async function stoppedBy(at: number): Promise<string> {
  const { name } = members.places[at]!;
  await until(`${name} has stopped`, () => members.stopped.some((line) => line.startsWith(`${name}: `)));
  await members.stop(at);
  return members.stopped.splice(0).join("\n");
}

const idOf = (at: number): string => members.agents[at]!.memberId;

async function makeLeader(at: number): Promise<void> {
  await until(`${members.places[at]!.name} leads`, async () => {
    const { leader } = await members.clients[at]!.maintenance.status();
    if (leader === idOf(at)) return true;
    const from = [0, 1, 2].find((other) => idOf(other) === leader)!;
    await members.clients[from]!.maintenance.moveLeader(idOf(at));
    return false;
  });
}

let lostId = "";

describe("a follower whose directory was restored from an older copy", () => {
  it("R20: stops, does not start again, and the others continue", async () => {
    await makeLeader(1);
    lostId = idOf(2);
    await members.stop(2);
    cpSync(members.dataDirectory(2), `${members.dataDirectory(2)}.old`, { recursive: true });
    await members.start(2);
    await until("m3 follows", () => members.clients[2]!.put("before", "the copy"));
    for (let i = 0; i < 20; i++) await members.clients[0]!.put(`acknowledged/${i}`, "by three");
    await until(
      "m3 has them",
      async () => (await members.clients[2]!.range("acknowledged/19", { serializable: true })).count > 0,
    );
    await members.stop(2);
    rmSync(members.dataDirectory(2), { recursive: true });
    cpSync(`${members.dataDirectory(2)}.old`, members.dataDirectory(2), { recursive: true });

    await members.start(2);
    expect(await stoppedBy(2)).toMatch(/^m3: This member has lost log entries: it acknowledged/);
    await expect(members.start(2)).rejects.toThrow(/lost entries that it had acknowledged.*add it as a new member/);
    await members.clients[0]!.put("still", "written");
    expect(members.stopped).toEqual([]);
  });
});

describe("a member that was removed while it was down", () => {
  it("R29: stops with the reason when it is restarted, also after the others were restarted", async () => {
    await members.clients[0]!.cluster.removeMember(lostId);
    for (const at of [0, 1]) {
      await members.stop(at);
      await members.start(at);
    }
    await until("a write", () => members.clients[0]!.put("after", "the removal"));
    rmSync(members.dataDirectory(2), { recursive: true });
    cpSync(`${members.dataDirectory(2)}.old`, members.dataDirectory(2), { recursive: true });
    await members.start(2);
    expect(await stoppedBy(2)).toBe("m3: the member was removed from the cluster");
    expect(members.logged.some((line) => line.startsWith("m3") && line.includes("its id is never reused"))).toBe(true);
  });

  it("R29: does not start again with data that records its removal", async () => {
    await makeLeader(0);
    await members.clients[0]!.cluster.removeMember(idOf(1));
    expect(await stoppedBy(1)).toBe("m2: the member was removed from the cluster");
    await expect(members.start(1)).rejects.toThrow(/clear the directory and add it as a new member/);
    await members.clients[0]!.put("still", "alone");
  });
});
