/** Two runs of haplan in two copies of one directory, as on the machines of two admins: the hosts let one change the cluster at a time. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ProgramRun, RunningProgram } from "../e2e/run-program.ts";
import { ClusterOnHosts, type HostsSpec } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";

const lockFiles = "ls /run/haplan-*.lock 2>/dev/null";

describeHosts("two runs on the same hosts", () => {
  let set: HostSet;
  let cluster: ClusterOnHosts;
  let copy: string;

  beforeAll(async () => {
    await takeDown();
    set = await bringUp(4, "complete");
    const spec: HostsSpec = {
      name: "two",
      engine: "agent",
      masters: [1, 2, 3].map((number) => [`m${number}`, set.hosts[number - 1]!] as const),
      balancer: set.hosts[3]!,
      balancerType: "embedded",
      controlPlane: "    heartbeatIntervalMs: 100\n",
    };
    cluster = new ClusterOnHosts(set, spec);
    await cluster.run("apply", "-auto-approve");
    copy = mkdtempSync(join(tmpdir(), "haplan-copy-"));
    cpSync(cluster.directory, copy, { recursive: true });
  }, 900_000);
  afterAll(async () => {
    rmSync(copy, { recursive: true, force: true });
    await cluster?.teardown();
    await takeDown();
  }, 120_000);

  /** A rolling restart of all members. */
  function apply(directory: string, heartbeatMs: number, ...flags: readonly string[]): RunningProgram {
    const file = join(directory, "cluster.yaml");
    const text = readFileSync(file, "utf8").replace(/heartbeatIntervalMs: \d+/, `heartbeatIntervalMs: ${heartbeatMs}`);
    writeFileSync(file, text);
    const args = ["apply", "-auto-approve", "-json", ...flags];
    return cluster.start(args, { cwd: directory, timeoutMs: 300_000 });
  }

  async function inStep(run: RunningProgram): Promise<RunningProgram> {
    await expect.poll(() => run.printed(), { timeout: 120_000 }).toContain("step_start");
    return run;
  }

  const said = ({ stdout, stderr }: ProgramRun): string => `${stdout}${stderr}`.replaceAll(/[\s│╷╵]+/g, " ");

  /** Also the ssh of each host. */
  const signalAll = async (run: RunningProgram, signal: string): Promise<unknown> =>
    execa("sh", ["-c", `kill -${signal} ${run.pid} $(pgrep -P ${run.pid})`], { reject: false });

  it("B4: refuse the second while the first one changes the cluster, and let it later", async () => {
    const first = await inStep(apply(cluster.directory, 110));
    const second = await apply(copy, 120).end;
    expect([second.code, said(second)]).toEqual([1, expect.stringMatching(/is locked on .* Operation: apply/)]);
    expect(said(second)).toContain(`pid ${first.pid}`);
    const looked = await cluster.start(["status"], { cwd: copy, timeoutMs: 60_000 }).end;
    expect(looked.code).toBe(0);
    const ended = await first.end;
    expect([ended.code, said(ended).includes('"outcome":"available"')]).toEqual([0, true]);
    expect((await apply(copy, 120).end).code).toBe(0);
    for (const host of set.hosts) expect(await cluster.on(host, lockFiles)).toBe("");
  }, 600_000);

  it("B4: let the second one go on when the first one ends, and after it was killed", async () => {
    const first = await inStep(apply(cluster.directory, 130));
    const second = apply(copy, 140, "-lock-timeout=120s");
    expect((await first.end).code).toBe(0);
    expect((await second.end).code).toBe(0);
    const killed = await inStep(apply(cluster.directory, 150));
    killed.signal("SIGKILL");
    const { code, stdout, stderr } = await apply(copy, 160).end;
    expect([code, code === 0 ? "" : stdout + stderr]).toEqual([0, ""]);
  }, 600_000);

  it("B4: let the second one go on when the first one is cut off, which then changes nothing more", async () => {
    const first = await inStep(apply(cluster.directory, 170));
    await signalAll(first, "STOP");
    const second = apply(copy, 180, "-lock-timeout=120s");
    const { code, stdout, stderr } = await second.end;
    expect([code, code === 0 ? "" : stdout + stderr]).toEqual([0, ""]);
    const running = await pids();
    await signalAll(first, "CONT");
    const ended = await first.end;
    expect([ended.code, said(ended)]).toEqual([1, expect.stringMatching(/The lock on \S+ was lost/)]);
    expect(await pids()).toEqual(running);
    expect((await cluster.start(["plan", "-detailed-exitcode"], { cwd: copy, timeoutMs: 60_000 }).end).code).toBe(0);
  }, 600_000);

  async function pids(): Promise<readonly string[]> {
    const shown = (number: number): string => `systemctl show --value -p MainPID haplan-two-m${number}-agent`;
    return await Promise.all([1, 2, 3].map((number) => cluster.on(set.hosts[number - 1]!, shown(number))));
  }
});
