/** An apply with a budget for write gaps while the members of a real cluster stand still. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterFixture, kill, specText, until } from "./cluster-fixture.ts";

const network = 42;

type EventLine = {
  readonly type: string;
  readonly step?: { readonly id: string; readonly action: string };
  readonly steps?: readonly { readonly id: string; readonly longest_gap_ms: number }[];
};

describe("a live cluster", () => {
  let cluster: ClusterFixture;
  const spec = specText({ network, tls: false });
  beforeAll(async () => {
    cluster = new ClusterFixture(spec);
    await cluster.apply();
  }, 60_000);
  afterAll(async () => {
    expect((await cluster.teardown()).left).toEqual([]);
  }, 60_000);

  it("stops an apply when clients have waited too long, says in which step, and goes on when applied again", async () => {
    cluster.writeSpec(spec.replace("    masters:", "    heartbeatIntervalMs: 60\n    masters:"));
    const { members } = await cluster.status();
    const events = join(cluster.directory, "events.jsonl");
    const words = ["apply", "-auto-approve", "-max-write-gap=1500ms", `-json-into=${events}`];
    const apply = cluster.start(words, { timeoutMs: 60_000 });
    const lines = (): readonly EventLine[] =>
      readFileSync(events, "utf8")
        .split("\n")
        .filter((line) => line.endsWith("}"))
        .map((line) => JSON.parse(line) as EventLine);
    const waiting = await until("a member has restarted and is waited for", () => {
      const started = lines().find(({ type, step }) => type === "step_start" && step?.action === "awaitQuorum");
      return started ?? false;
    });
    // All of them: whichever it waits for, no write succeeds.
    const pids = members.map(({ name }) => name).flatMap((name) => agentPids(cluster, name));
    for (const pid of pids) kill(pid, "SIGSTOP");
    await until("the budget is spent", () => lines().some(({ type }) => type === "write_gap_spent"));
    for (const pid of pids) kill(pid, "SIGCONT");
    const { code, stdout, stderr } = await apply.end;
    expect([code, stderr]).toEqual([5, expect.stringContaining("The budget for write gaps is spent")]);
    expect(stdout).toContain("Longest waits by step:");
    const longest = lines().find(({ type }) => type === "write_availability")?.steps?.[0];
    expect(longest?.longest_gap_ms).toBeGreaterThan(1_000);
    expect(longest?.id).toBe(waiting.step?.id);
    const again = await cluster.start(["apply", "-auto-approve", "-max-write-gap=5s"], { timeoutMs: 60_000 }).end;
    expect(again.code).toBe(0);
  }, 90_000);
});

function agentPids(cluster: ClusterFixture, name: string): readonly number[] {
  return cluster.processes().filter((pid) => {
    const text = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return text.some((word) => word.endsWith("haplan-agent/main.js")) && text.includes(`--name=${name}`);
  });
}
