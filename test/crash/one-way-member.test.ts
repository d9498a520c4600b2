/** A member that the others cannot dial (a firewall, a wrong port in its peer URL), but that can dial them. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../e2e/cluster-fixture.ts";
import { AgentsInProcess } from "./agents-in-process.ts";

const host = "127.77.25.203";
let members: AgentsInProcess;

beforeEach(async () => {
  members = await AgentsInProcess.prepare(host, ["--snapshot-count=50", "--experimental-snapshot-catchup-entries=10"]);
});

afterEach(() => members.remove());

const startUncallable = (): Promise<void> => members.start(2, `http://${host}:0`);

/** Each compaction waits for a flush to disk: on a slow one, the log may still reach back to what m3 lacks. */
async function missWrites(round: string): Promise<boolean> {
  await members.stop(2);
  for (let i = 0; i < 200; i++) await members.clients[0]!.put(`${round}/${i}`, "by the third");
  await startUncallable();
  await until("m3 has caught up", async () => {
    const { count } = await members.clients[2]!.range(`${round}/199`, { serializable: true });
    return count === 1;
  });
  return members.logged.some((line) => line.startsWith("m3") && line.includes("installed the snapshot"));
}

it("A19: bootstraps a cluster with one of the others, follows it, and receives a snapshot from it", async () => {
  await Promise.all([members.start(0), startUncallable()]);
  await members.writeThrough(2);
  await members.start(1);
  await members.writeThrough(1);

  let round = 0;
  await until("m3 receives a snapshot", () => missWrites(`round-${round++}`));
  const { leader } = await members.clients[2]!.maintenance.status();
  expect(leader).not.toBeNull();
});
