/** Drills on real hosts with a virtual address: each fault, and what is left when haplan or its connection ends in the middle of one. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { type ClusterStatus, parseStatus, until } from "../e2e/cluster-fixture.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import type { ProgramRun, RunningProgram } from "../e2e/run-program.ts";
import { ClusterOnHosts, contentsOf, type HostsSpec } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { network } from "./host-network.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { cutOff, rejoin, type TestHost } from "./test-host.ts";

const vip = `10.97.${network}.100`;
const endpoint = `https://${vip}:2379`;
const writesPerSecond = 100;

type Report = {
  readonly held: boolean;
  readonly results: readonly {
    readonly fault: { readonly kind: string; readonly member: string };
    readonly problem: string | null;
    readonly longest_gap_ms: number;
  }[];
};

describeHosts("drills on hosts", () => {
  let set: HostSet;
  beforeAll(async () => {
    await takeDown();
    set = await bringUp(5, "complete");
  }, 900_000);
  afterAll(async () => {
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 60_000);

  const engines: readonly Pick<HostsSpec, "engine" | "policy">[] = [
    { engine: "agent" },
    { engine: "etcd", policy: "{ allowEvenSteps: true }" },
  ];
  describe.each(engines)("of engine $engine", (engine) => {
    let cluster: ClusterOnHosts;
    let before: readonly string[];

    const host = (number: number): TestHost => set.hosts[number - 1]!;
    const balancers: Readonly<Record<string, number>> = { lb1: 4, lb2: 5 };
    const spec = (): HostsSpec => ({
      name: "drill",
      ...engine,
      masters: [1, 2, 3].map((number) => [`m${number}`, host(number)] as const),
      balancer: host(4),
      balancerType: "haproxy",
      virtual: { address: vip, hosts: Object.entries(balancers).map(([name, at]) => [name, host(at)] as const) },
    });

    beforeAll(async () => {
      before = await Promise.all(set.hosts.map((each) => contentsOf(set, each)));
      cluster = new ClusterOnHosts(set, spec());
      await cluster.run("apply", "-auto-approve");
      await until("the first one has the address", async () => (await holder()) === "lb1", 30_000);
    }, 300_000);
    afterAll(async () => {
      for (const each of set.hosts) await rejoin(each);
      await cluster?.teardown();
    }, 120_000);

    const hostOf = (name: string): TestHost => host(balancers[name] ?? Number(name.slice(1)));
    const holder = async (): Promise<string> => {
      const has = async (name: string): Promise<boolean> =>
        (await cluster.on(hostOf(name), `ip -o addr show to ${vip}`)).includes(vip);
      const names = await Promise.all(Object.keys(balancers).map(async (name) => ((await has(name)) ? [name] : [])));
      return names.flat().join(", ");
    };
    const status = async (): Promise<ClusterStatus> => parseStatus((await cluster.try("status", "-json")).stdout);
    const follower = async (): Promise<string> =>
      (await status()).members.find(({ role, healthy }) => role === "follower" && healthy)!.name;
    const unitOf = (name: string): string => `haplan-drill-${name}-${name in balancers ? "keepalived" : "agent"}`;
    const show = (name: string, property: string): Promise<string> =>
      cluster.on(hostOf(name), `systemctl show --value -p ${property} ${unitOf(name)}.service`);
    const isPaused = async (name: string): Promise<boolean> =>
      /^State:\s+T/m.test(await cluster.on(hostOf(name), `cat /proc/${await show(name, "MainPID")}/status`));
    const begin = (...words: readonly string[]): RunningProgram =>
      cluster.start(["drill", "-auto-approve", "-json", ...words], { timeoutMs: 300_000 });
    const reportOf = ({ stdout, stderr }: ProgramRun): Report => {
      expect(stdout, stderr).not.toBe("");
      return JSON.parse(stdout) as Report;
    };

    /** Healthy, planned as it is, and without a unit of a drill. */
    async function isAsBefore(): Promise<void> {
      await until(
        "all members are healthy",
        async () => (await status()).members.every(({ healthy }) => healthy),
        60_000,
      );
      const units = "systemctl list-units --all --plain --no-legend 'haplan-*-drill*'";
      for (const each of set.hosts)
        await until(`no fault is on ${each.name}`, async () => (await cluster.on(each, units)) === "", 30_000);
      for (const name of Object.keys(balancers))
        await until(`${name} runs`, async () => (await show(name, "ActiveState")) === "active", 30_000);
      const text = await until("one has the address, and one can take it", async () => {
        const said = await cluster.run("status");
        return said.includes("has the virtual address") && said.includes("can take the virtual address") && said;
      });
      expect(text).toContain("3 of 3 voters healthy");
      const plan = await cluster.try("plan", "-detailed-exitcode");
      expect([plan.code, plan.code === 0 ? "" : plan.stdout + plan.stderr]).toEqual([0, ""]);
    }

    it("does each fault while a client writes through the address, and leaves the cluster as before", async () => {
      const roles = async (): Promise<object> => (await status()).members.map(({ name, role }) => [name, role]);
      const had = await roles();
      const writer = new PacedWriter(cluster.client(endpoint), "/drill/", writesPerSecond);
      await until("the writer is under way", () => writer.acknowledged.length > 100);
      const run = await begin("-pause=3s").end;
      await writer.stop();
      const report = reportOf(run);
      console.log(writer.summary(), JSON.stringify(report.results));
      expect(report.results.map(({ fault, problem }) => [fault.kind, problem])).toEqual([
        ["restart", null],
        ["pause", null],
        ["leader", null],
        ["vip", null],
      ]);
      expect([run.code, report.held]).toEqual([0, true]);
      for (const { longest_gap_ms: gapMs } of report.results) expect(gapMs).toBeGreaterThan(0);
      expect(await missingWrites(cluster.client(endpoint), writer.prefix, writer.acknowledged)).toEqual([]);
      expect(await roles()).toEqual(had);
      expect(await holder()).toBe("lb1");
      await isAsBefore();
    }, 300_000);

    it.each(["SIGKILL", "SIGINT", "SIGTERM"] as const)(
      "resumes a paused member after %s, in the same process",
      async (signal) => {
        const name = await follower();
        const pid = await show(name, "MainPID");
        const drill = begin("-faults=pause", `-members=${name}`, `-pause=${signal === "SIGKILL" ? 6 : 29}s`);
        await until(`${name} is paused`, () => isPaused(name), 60_000);
        const sentMs = performance.now();
        drill.signal(signal);
        await drill.end;
        await until(`${name} is resumed`, async () => !(await isPaused(name)), 20_000);
        console.log(`${signal}: resumed after ${Math.round(performance.now() - sentMs)} ms`);
        expect(await show(name, "MainPID")).toBe(pid);
        await isAsBefore();
      },
      180_000,
    );

    it("resumes a paused member while its host is cut off", async () => {
      const name = await follower();
      const pid = await show(name, "MainPID");
      const drill = begin("-faults=pause", `-members=${name}`, "-pause=5s");
      await until(`${name} is paused`, () => isPaused(name), 60_000);
      await cutOff(hostOf(name));
      await sleep(8_000);
      const rejoinedMs = Date.now();
      await rejoin(hostOf(name));
      await until(`${name} is resumed`, async () => !(await isPaused(name)), 20_000);
      await drill.end;
      const ended = `journalctl -u ${unitOf(name)}-drill.service -o short-unix -n 1 | cut -d ' ' -f 1`;
      expect(Number(await cluster.on(hostOf(name), ended)) * 1000).toBeLessThan(rejoinedMs);
      expect(await show(name, "MainPID")).toBe(pid);
      await isAsBefore();
    }, 240_000);

    it("completes a restart after SIGKILL", async () => {
      const name = await follower();
      const pid = await show(name, "MainPID");
      const drill = begin("-faults=restart", `-members=${name}`);
      await until(`${name} ends`, async () => (await show(name, "MainPID")) !== pid || (await isEnding(name)), 60_000);
      drill.signal("SIGKILL");
      await drill.end;
      await until(`${name} runs again`, async () => !["0", pid].includes(await show(name, "MainPID")), 60_000);
      await isAsBefore();
    }, 180_000);

    const isEnding = async (name: string): Promise<boolean> => (await show(name, "ActiveState")) === "deactivating";

    it("starts keepalived again after SIGKILL, and moves the address from where it is and back", async () => {
      const first = await holder();
      const drill = begin("-faults=vip");
      // On the host: it may be stopped for less time than a question takes.
      await cluster.on(hostOf(first), `timeout 60 sh -c 'while systemctl is-active -q ${unitOf(first)}; do :; done'`);
      drill.signal("SIGKILL");
      await drill.end;
      await isAsBefore();
      const second = await holder();
      const report = reportOf(await begin("-faults=vip").end);
      expect(report.results).toMatchObject([{ fault: { kind: "vip", member: second }, problem: null }]);
      expect(await holder()).toBe(second);
      await isAsBefore();
    }, 240_000);

    it("refuses to move the address where no other load balancer can take it", async () => {
      const other = (await holder()) === "lb1" ? "lb2" : "lb1";
      await cluster.on(hostOf(other), `systemctl stop haplan-drill-${other}-load-balancer`);
      const state = (): Promise<string> => cluster.on(hostOf(other), `cat /run/${unitOf(other)}/state`);
      await until("keepalived has noticed", async () => (await state()) === "FAULT", 30_000);
      const { code, stderr } = await cluster.try("drill", "-auto-approve", "-faults=vip");
      await cluster.on(hostOf(other), `systemctl start haplan-drill-${other}-load-balancer`);
      expect([code, stderr.replaceAll(/[\s│]+/g, " ")]).toEqual([
        1,
        expect.stringContaining(`${other} cannot take the virtual address`),
      ]);
      await isAsBefore();
    }, 120_000);

    it.runIf(engine.engine === "agent")(
      "does not pause a member for longer than its watchdog lets it",
      async () => {
        const name = await follower();
        const directory = `/run/systemd/system/${unitOf(name)}.service.d`;
        const restart = `systemctl daemon-reload; systemctl restart ${unitOf(name)}`;
        const healthy = async (): Promise<boolean> => (await status()).members.every((member) => member.healthy);
        // What counts is the watchdog in force: that of the last start.
        const written = `mkdir -p ${directory}; printf '[Service]\\nWatchdogSec=10\\n' > ${directory}/watchdog.conf`;
        await cluster.on(hostOf(name), `${written}; ${restart}`);
        await until("all members are healthy", healthy, 60_000);
        const run = await begin("-faults=pause", `-members=${name}`, "-pause=6s").end;
        const restarts = await show(name, "NRestarts");
        await cluster.on(hostOf(name), `rm -r ${directory}; ${restart}`);
        expect([run.code, reportOf(run).results[0]?.problem, restarts]).toEqual([
          3,
          expect.stringContaining("A pause of 6 s is too long"),
          "0",
        ]);
        await isAsBefore();
      },
      180_000,
    );

    it("leaves nothing on any host with the cluster", async () => {
      await cluster.run("destroy", "-auto-approve");
      expect(await Promise.all(set.hosts.map((each) => contentsOf(set, each)))).toEqual(before);
    }, 120_000);
  });
});
