/** Drills on real clusters: each fault, and what is left when the drill is interrupted or killed in the middle of one. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterFixture, type ClusterStatus, kill, parseStatus, specText, until } from "./cluster-fixture.ts";
import { isAlive } from "./dir-processes.ts";
import { isInstalled, type ProgramRun } from "./run-program.ts";

type Report = {
  readonly held: boolean;
  readonly results: readonly {
    readonly fault: { readonly kind: string };
    readonly problem: string | null;
    readonly longest_gap_ms: number;
  }[];
};

type Shape = {
  readonly title: string;
  readonly network: number;
  readonly tls: boolean;
  readonly engine: "agent" | "etcd";
  /** Of root, where the cluster has users. */
  readonly password: string | null;
};

const shapes: readonly Shape[] = [
  { title: "without TLS", network: 111, tls: false, engine: "agent", password: null },
  { title: "with TLS and users", network: 112, tls: true, engine: "agent", password: "correct horse" },
  { title: "of etcd, with TLS", network: 113, tls: true, engine: "etcd", password: null },
];

for (const { title, network, tls, engine, password } of shapes) {
  const missing =
    (engine === "etcd" && !isInstalled("etcd", "--version")) ||
    (password !== null && !isInstalled("etcdctl", "version"));
  describe.skipIf(missing)(`a drill on a cluster ${title}${missing ? " (skipped: not installed)" : ""}`, () => {
    let cluster: ClusterFixture;
    const env: Record<string, string> = password === null ? {} : { HAPLAN_ETCD_USER: `root:${password}` };
    const haplan = (...words: readonly string[]): Promise<ProgramRun> => cluster.haplan(words, { env });

    beforeAll(async () => {
      const text = specText({ network, tls }).replace("  controlPlane:\n", `  controlPlane:\n    engine: ${engine}\n`);
      cluster = new ClusterFixture(engine === "etcd" ? `${text}  policy: { allowEvenSteps: true }\n` : text);
      await cluster.apply();
      if (password === null) return;
      for (const words of [
        ["user", "add", `root:${password}`],
        ["user", "grant-role", "root", "root"],
        ["auth", "enable"],
      ])
        expect((await cluster.etcdctl(words)).code).toBe(0);
    }, 90_000);
    afterAll(async () => {
      await haplan("destroy", "-auto-approve");
      expect((await cluster.teardown()).left).toEqual([]);
    }, 60_000);

    const status = async (): Promise<ClusterStatus> => parseStatus((await haplan("status", "-json")).stdout);
    const roles = async (): Promise<object> =>
      (await status()).members.map(({ name, role, healthy }) => [name, role, healthy]);
    const agentOf = async (name: string): Promise<number | null> =>
      (await status()).members.find((member) => member.name === name)?.pid ?? null;
    const stateOf = (pid: number): string | undefined =>
      /^State:\t(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    const follower = async (): Promise<{ readonly name: string; readonly pid: number }> => {
      const found = (await status()).members.find(({ role, healthy }) => role === "follower" && healthy);
      return { name: found!.name, pid: found!.pid! };
    };
    const allHealthy = (): Promise<boolean> =>
      until("all members are healthy", async () => {
        const { members } = await status();
        return members.length === 3 && members.every(({ healthy }) => healthy);
      });

    it("does each fault, reports the gaps, and leaves the cluster as before", async () => {
      const before = await roles();
      const run = await haplan("drill", "-auto-approve", "-json", "-pause=1500ms");
      const report = JSON.parse(run.stdout) as Report;
      expect(report.results.map(({ fault, problem }) => [fault.kind, problem])).toEqual([
        ["restart", null],
        ["pause", null],
        ["leader", null],
      ]);
      expect([run.code, report.held]).toEqual([0, true]);
      for (const { longest_gap_ms: gapMs } of report.results) expect(gapMs).toBeGreaterThan(0);
      expect(await roles()).toEqual(before);
      expect((await haplan("plan", "-detailed-exitcode")).code).toBe(0);
    }, 90_000);

    it.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
      "leaves no member paused or stopped after %s in the middle",
      async (signal) => {
        for (const kind of ["pause", "restart"] as const) {
          const { name, pid } = await follower();
          const forMs = signal === "SIGKILL" ? 2_000 : 25_000;
          const words = ["drill", "-auto-approve", `-faults=${kind}`, `-members=${name}`, `-pause=${forMs}ms`];
          const drill = cluster.start(words, { timeoutMs: 60_000, env });
          await until(`${kind} has begun`, () => (kind === "pause" ? stateOf(pid) === "T" : !isAlive(pid)));
          const sentMs = performance.now();
          drill.signal(signal);
          const end = await drill.end;
          if (signal !== "SIGKILL") {
            expect([end.signal, end.code, end.stdout]).toEqual([null, 0, expect.stringContaining(`${kind} ${name}`)]);
            expect(performance.now() - sentMs).toBeLessThan(forMs);
          }
          await allHealthy();
          if (kind === "pause") expect([stateOf(pid), await agentOf(name)]).not.toContain("T");
          else expect(await agentOf(name)).not.toBe(pid);
        }
        expect((await haplan("plan", "-detailed-exitcode")).code).toBe(0);
      },
      120_000,
    );

    it("does no fault while no voter may fail", async () => {
      const { name, pid } = await follower();
      kill(pid, "SIGSTOP");
      const { code, stderr } = await haplan("drill", "-auto-approve", "-faults=leader");
      kill(pid, "SIGCONT");
      expect([code, stderr.replaceAll(/[\s│]+/g, " ")]).toEqual([
        1,
        expect.stringContaining(`${name} is not healthy, and no further voter may fail`),
      ]);
      await allHealthy();
    }, 30_000);

    it("does no fault while no client can write", async () => {
      kill((await status()).loadBalancer!.pid!, "SIGKILL");
      const { code, stderr } = await haplan("drill", "-auto-approve", "-faults=leader");
      expect([code, stderr]).toEqual([1, expect.stringContaining("Clients cannot write through")]);
      expect((await haplan("apply", "-auto-approve")).code).toBe(0);
      await allHealthy();
    }, 60_000);
  });
}
