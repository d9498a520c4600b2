/** The leader is stopped (SIGTERM) while clients that know all members write: no write fails. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { type ClusterProcesses, leadingMember, startCluster } from "./member-processes.ts";
import { gatewayPut, npmPut, ownPut, SteadyWriters } from "./steady-clients.ts";

const host = "127.77.62.1";

let members: ClusterProcesses | undefined;
afterEach(() => members?.stop());

describe("a planned stop", () => {
  it("T11: loses no write of haplan's client, of the npm client or of a script over the gateway", async () => {
    members = await startCluster("agent", host, { members: 3 });
    const leader = await leadingMember(members);
    const own = ownPut(members.urls);
    const npm = npmPut(members.urls);
    const stoppedFirst = [members.urls[leader]!, ...members.urls.filter((_, at) => at !== leader)];
    const gateway = gatewayPut(stoppedFirst);
    const puts = [own.value, own.value, npm.value, npm.value, npm.value, npm.value, gateway, gateway];
    const writers = new SteadyWriters(puts);
    await sleep(400);
    await members.terminate(leader);
    await sleep(300);
    const results = await writers.stop();
    await Promise.all([own.close(), npm.close()]);
    expect(results.flatMap(({ failures }) => failures)).toEqual([]);
    for (const { written } of results) expect(written).toBeGreaterThan(5);
  }, 30_000);
});
