/** Members whose processes hang are restarted one after the other, and one that has recovered by then is left alone. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ClusterFixture, kill, specText, until } from "./cluster-fixture.ts";

type EventLine = { readonly type: string; readonly step?: { readonly id: string }; readonly message?: string };

let cluster: ClusterFixture;
beforeAll(async () => {
  cluster = new ClusterFixture(specText({ network: 67, tls: true }));
  await cluster.apply();
}, 60_000);
afterAll(async () => {
  expect((await cluster.teardown()).left).toEqual([]);
}, 60_000);

function pidOf(name: string): number {
  const found = cluster.processes().find((pid) => {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.some((word) => word.endsWith("haplan-agent/main.js")) && words.includes(`--name=${name}`);
  });
  expect(found, name).toBeDefined();
  return found!;
}

it("restarts the first ones of three that hang, and leaves the third alone once it answers", async () => {
  const before = ["m1", "m2", "m3"].map(pidOf);
  for (const pid of before) kill(pid, "SIGSTOP");
  const events = join(cluster.directory, "events.jsonl");
  const apply = cluster.start(["apply", "-auto-approve", `-json-into=${events}`], { timeoutMs: 120_000 });
  const lines = (): readonly EventLine[] =>
    (existsSync(events) ? readFileSync(events, "utf8") : "")
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as EventLine);
  const begun = (id: string): boolean => lines().some(({ type, step }) => type === "step_start" && step?.id === id);
  await until("the second one is asked again", () => begun("restartAgent:m2"), 60_000);
  expect(begun("restartAgent:m3")).toBe(false);
  kill(before[2]!, "SIGCONT");
  const { code, stdout, stderr } = await apply.end;
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("Error")]);
  expect(stdout).toContain("restart agent m3, unless it answers by then");
  expect(stdout + stderr).toContain("m3 answers again: its process was left alone");
  const [m1, m2, m3] = ["m1", "m2", "m3"].map(pidOf);
  expect([m1 === before[0], m2 === before[1], m3 === before[2]]).toEqual([false, false, true]);
  expect((await cluster.status()).members.every(({ healthy }) => healthy)).toBe(true);
}, 120_000);
