/** Runs of haplan lock their hosts: provider ssh, with an `ssh` of the test's that runs haplan-host here, in a directory for each host. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { HaplanError } from "../../src/base/haplan-error.ts";
import type { ChangingRun } from "../../src/host/changing-run.ts";
import { MachineCalls } from "../../src/providers/machine-calls.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { specReader } from "../../src/providers/spec-reader.ts";
import { createSshProvider } from "../../src/providers/ssh/ssh-provider.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { root } from "../structure/imports.ts";
import { FakeSsh } from "../support/fake-ssh.ts";

const hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

let ssh: FakeSsh;
let directory: string;
let opened: Provider[];
/** How far the clock of runs is ahead. */
let shiftMs: number;
beforeEach(() => {
  ssh = new FakeSsh();
  directory = ssh.directory;
  opened = [];
  shiftMs = 0;
  for (const host of hosts) mkdirSync(join(directory, host));
  const program = join(root, "dist/cmd/haplan-host/main.js");
  ssh.runs(`[ -d ${directory}/$host ] || exit 255
echo $$ >> ${directory}/$host.pids
exec ${process.execPath} ${program} --cluster demo --root ${directory}/$host --detached`);
});
afterEach(async () => {
  for (const provider of opened) await provider.close();
  ssh.remove();
});

function parsed(): ClusterSpec {
  const masters = hosts.map((host, at) => `\n      - { name: m${at + 1}, address: ${host} }`).join("");
  const text = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: ssh, user: root }
  controlPlane:
    masters:${masters}
  loadBalancer: { type: embedded, address: ${hosts[0]}, ports: [2400] }
`;
  const { spec, diagnostics } = specReader.parse("cluster.yaml", text);
  if (spec === null) throw new Error(JSON.stringify(diagnostics));
  return spec;
}

async function open(): Promise<Provider> {
  const options = {
    spec: parsed(),
    recorded: async () => [],
    directory,
    cwd: directory,
    signal: new AbortController().signal,
    clock: { ...systemClock, now: () => systemClock.now() + shiftMs },
    log: () => undefined,
  };
  const limits = { machinesAtOnce: 10, callTimeoutMs: 30_000 };
  const provider = await createSshProvider({ ...options, calls: new MachineCalls({ ...options, limits }) });
  opened.push(provider);
  return provider;
}

const runOf = (id: string): ChangingRun => ({
  id,
  user: "admin",
  host: "laptop",
  pid: 7,
  operation: "apply",
  createdAt: Date.UTC(2026, 0, 1),
});
const lock = (provider: Provider, id: string, timeoutMs = 0): Promise<void> => provider.lock(runOf(id), { timeoutMs });
/** Of processes that were started for a host and run. */
const pidsOf = (host: string): readonly number[] =>
  readFileSync(join(directory, `${host}.pids`), "utf8")
    .trim()
    .split("\n")
    .map(Number)
    .filter((pid) => existsSync(`/proc/${pid}`));
const files = (): string[] => hosts.filter((host) => existsSync(join(directory, host, "demo.lock")));

describe("B4: the hosts of a cluster", () => {
  it("are locked by one run at a time, until its sessions are closed", async () => {
    const [first, second, third, reader] = [await open(), await open(), await open(), await open()];
    await lock(first, "a");
    expect(files()).toEqual(hosts);
    await expect(lock(second, "b")).rejects.toMatchObject({
      code: "lock/held",
      message: expect.stringMatching(
        /locked on 10\.0\.0\.1 by another run.*\n {2}Who: {7}admin@laptop, pid 7\n {2}Operation: apply\n {2}Since: {5}2026-01-01T/,
      ),
    });
    // A run that changes nothing takes no lock.
    expect(await reader.observe("l", [])).toEqual({ machines: [], unreachable: [] });
    const waiting = lock(third, "c", 20_000);
    await first.close();
    await waiting;
    expect(files()).toEqual(hosts);
    await third.close();
    expect(files()).toEqual([]);
  });

  it("are locked again by a run whose connections were lost, and not by another one that it has left out", async () => {
    const [first, second] = [await open(), await open()];
    rmSync(join(directory, hosts[0]!), { recursive: true });
    await lock(first, "a");
    mkdirSync(join(directory, hosts[0]!));
    expect(files()).toEqual(hosts.slice(1));
    await expect(lock(second, "b")).rejects.toMatchObject({ code: "lock/held" });
    await second.close();
    for (const pid of pidsOf(hosts[1]!)) process.kill(pid, "SIGKILL");
    await expect
      .poll(async () => (await first.observe("l", [])).unreachable.map(({ name }) => name))
      .toEqual(["m1", "load-balancer"]);
    await expect(lock(await open(), "c")).rejects.toMatchObject({ code: "lock/held" });
  });

  it("are not changed by a run any more that was cut off for longer than a lock lasts", async () => {
    const first = await open();
    await lock(first, "a");
    for (const pid of pidsOf(hosts[1]!)) process.kill(pid, "SIGKILL");
    shiftMs = 41_000;
    await expect.poll(() => first.observe("l", []).catch((error: HaplanError) => error.code)).toBe("lock/lost");
    await expect(first.stopUnit("m2", "agent", 0)).rejects.toMatchObject({ code: "lock/lost" });
  });

  it("are locked again by a run whose connection was lost before it has anything to do there", async () => {
    await lock(await open(), "a");
    for (const pid of pidsOf(hosts[1]!)) process.kill(pid, "SIGKILL");
    await expect.poll(() => pidsOf(hosts[1]!), { timeout: 5_000 }).toHaveLength(0);
    await expect.poll(() => pidsOf(hosts[1]!), { timeout: 20_000 }).toHaveLength(1);
    await expect(lock(await open(), "b")).rejects.toMatchObject({ code: "lock/held" });
  }, 30_000);

  it("are free after a run that was killed", async () => {
    await lock(await open(), "a");
    for (const host of hosts) for (const pid of pidsOf(host)) process.kill(pid, "SIGKILL");
    await lock(await open(), "b", 10_000);
  });

  it("are waited for where a run of this machine that was killed has a call under way there", async () => {
    const { pid } = spawnSync("true");
    const [killed, next] = [await open(), await open()];
    await killed.lock({ ...runOf("a"), host: hostname(), pid }, { timeoutMs: 0 });
    const waiting = lock(next, "b");
    expect(await Promise.race([waiting, sleep(1_500, "waits")])).toBe("waits");
    await killed.close();
    await waiting;
  });

  it("are locked by exactly one of several runs that begin at once", async () => {
    const runs = ["a", "b", "c"];
    const ended = await Promise.allSettled(runs.map(async (id) => lock(await open(), id)));
    expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});
