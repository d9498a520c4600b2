/** A member that the others cannot dial (a firewall, a wrong port in its peer URL), but that can dial them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../e2e/cluster-fixture.ts";
import { AgentsInProcess } from "./agents-in-process.ts";

const host = "127.77.25.203";
let members: AgentsInProcess;

beforeAll(async () => {
  members = await AgentsInProcess.prepare(host, ["--snapshot-count=50", "--experimental-snapshot-catchup-entries=10"]);
});

afterAll(() => members.remove());

const startUncallable = (): Promise<void> => members.start(2, `http://${host}:0`);

it("A19: bootstraps a cluster with one of the others, follows it, and receives a snapshot from it", async () => {
  await Promise.all([members.start(0), startUncallable()]);
  await members.writeThrough(2);
  await members.start(1);
  await members.writeThrough(1);

  await members.stop(2);
  for (let i = 0; i < 200; i++) await members.clients[0]!.put(`missed/${i}`, "by the third");
  await startUncallable();
  await until("m3 has caught up", async () => {
    const { count } = await members.clients[2]!.range("missed/199", { serializable: true });
    return count === 1;
  });
  expect(members.logged.some((line) => line.startsWith("m3") && line.includes("installed the snapshot"))).toBe(true);
  const { leader } = await members.clients[2]!.maintenance.status();
  expect(leader).not.toBeNull();
});
