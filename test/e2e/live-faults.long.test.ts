/** Drills on a real cluster, and an apply with a budget for write gaps while its members stand still. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterFixture, type ClusterStatus, kill, type StatusMember, specText, until } from "./cluster-fixture.ts";
import { isAlive } from "./dir-processes.ts";

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

  const follower = async (): Promise<StatusMember> =>
    (await cluster.status()).members.find(({ role }) => role === "follower")!;
  const allHealthy = (): Promise<boolean> =>
    until(
      "all members are healthy",
      async () => (await cluster.status()).members.filter(({ healthy }) => healthy).length === 3,
    );
  const stateOf = (pid: number): string | undefined =>
    /^State:\t(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

  it("is as before after each fault of a drill, which reports the gaps", async () => {
    const before = await cluster.status();
    const run = await cluster.haplan(["drill", "-auto-approve", "-json", "-pause=1500ms"]);
    const report = JSON.parse(run.stdout) as {
      readonly held: boolean;
      readonly results: readonly {
        readonly fault: object;
        readonly problem: string | null;
        readonly longest_gap_ms: number;
      }[];
    };
    expect(report.results.map(({ problem }) => problem)).toEqual([null, null, null]);
    expect([run.code, report.held]).toEqual([0, true]);
    for (const { longest_gap_ms: gapMs } of report.results) expect(gapMs).toBeGreaterThan(0);
    const after = await cluster.status();
    const rolesOf = ({ members }: ClusterStatus): object =>
      members.map(({ name, role, healthy }) => [name, role, healthy]);
    expect(rolesOf(after)).toEqual(rolesOf(before));
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  }, 60_000);

  it("does not keep a pause or a restart when the drill is killed in the middle", async () => {
    for (const kind of ["pause", "restart"] as const) {
      const { name, pid } = await follower();
      const words = ["drill", "-auto-approve", `-faults=${kind}`, `-members=${name}`, "-pause=2s"];
      const drill = cluster.start(words, { timeoutMs: 30_000 });
      await until(`${kind} has begun`, () => (kind === "pause" ? stateOf(pid!) === "T" : !isAlive(pid!)));
      drill.signal("SIGKILL");
      await drill.end;
      await allHealthy();
      if (kind === "pause") expect(stateOf(pid!)).not.toBe("T");
    }
  }, 60_000);

  it("gets no fault of a drill while no voter may fail", async () => {
    const { name } = await follower();
    const pids = agentPids(cluster, name);
    for (const pid of pids) kill(pid, "SIGSTOP");
    const { code, stderr } = await cluster.haplan(["drill", "-auto-approve", "-faults=leader"]);
    for (const pid of pids) kill(pid, "SIGCONT");
    expect([code, stderr.replaceAll(/[\s│]+/g, " ")]).toEqual([
      1,
      expect.stringContaining(`${name} is not healthy, and no further voter may fail`),
    ]);
    await allHealthy();
  }, 30_000);

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
