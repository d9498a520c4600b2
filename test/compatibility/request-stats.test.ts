/** Requests that took long, in the log of a member that serves them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { AgentsInProcess } from "../crash/agents-in-process.ts";
import { until } from "../e2e/cluster-fixture.ts";

let members: AgentsInProcess;

beforeAll(async () => {
  members = await AgentsInProcess.start("127.77.25.207", ["--warning-unary-request-duration=1ns"]);
});

afterAll(() => members.remove());

function statsOf(method: string): Record<string, unknown>[] {
  return members.logged
    .filter((line) => line.startsWith("m1 ") && line.includes('"request stats"'))
    .map((line) => JSON.parse(line.slice(3)) as Record<string, unknown>)
    .filter((line) => line["response type"] === `/etcdserverpb.KV/${method}`);
}

it("A15: includes puts, ranges and their contents, also those that waited for the leader", async () => {
  const client = members.clients[0]!;
  for (let i = 0; i < 3; i++) await client.put(`stats/${i}`, "secret");
  await client.range("stats/", { rangeEnd: Buffer.from("stats0") });
  const range = 'key:"stats/" range_end:"stats0" ';
  await until(
    "both are logged",
    () => statsOf("Put").length > 3 && statsOf("Range").some((line) => line["request content"] === range),
  );
  expect(statsOf("Put").at(-1)).toMatchObject({
    "request count": 1,
    "response count": 0,
    "request content": 'key:"stats/2" value_size:6 ',
  });
  expect(statsOf("Range").at(-1)).toMatchObject({ "request count": 0, "response count": 3, "request content": range });
  expect(members.logged.join()).not.toContain("secret");
});
