/**
 * The connection to a host is cut in each step of an apply in turn; another apply completes it. The members' own
 * connections stay, as behind a firewall that has closed port 22 alone.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { runsByHand } from "./by-hand.ts";
import { ClusterOnHosts, type HostsSpec } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { network } from "./host-network.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";

const writesPerSecond = 50;
const table = `haplan-test-${network}`;
const leftovers = "ls -d /opt/haplan /var/lib/haplan /etc/systemd/system/haplan-* 2>/dev/null; id haplan 2>/dev/null";

/** Resets every connection over ssh from this machine to the host, until `restore`. */
async function cut({ ipv4 }: TestHost): Promise<void> {
  const rules = `table inet ${table} {
  chain output {
    type filter hook output priority 0;
    ip daddr ${ipv4} tcp dport 22 reject with tcp reset
  }
}`;
  await execa("nft", ["-f", "-"], { input: rules });
}

async function restore(): Promise<void> {
  await execa("nft", ["delete", "table", "inet", table], { reject: false });
}

/** Of the steps of a plan, the n-th is cut off, the 2n-th and so on. By hand it is every one. */
const stride = runsByHand ? 1 : 4;

type StepEvent = { readonly type: string; readonly step?: { readonly title: string } };

describeHosts(
  "cut connections",
  () => {
    let set: HostSet;
    let cluster: ClusterOnHosts;

    const host = (number: number): TestHost => set.hosts[number - 1]!;
    const spec = (numbers: readonly number[]): HostsSpec => ({
      name: "cuts",
      engine: "agent",
      masters: numbers.map((number) => [`m${number}`, host(number)] as const),
      balancer: host(5),
      balancerType: "embedded",
    });

    beforeAll(async () => {
      await takeDown();
      set = await bringUp(5, "complete");
      cluster = new ClusterOnHosts(set, spec([1, 2, 3]));
    }, 900_000);
    afterAll(async () => {
      await restore();
      await cluster?.teardown();
      await takeDown();
    }, 120_000);

    /** The host that a step works on, by its title: `start agent m2`. None where it asks members, over their own connections. */
    function hostOf(title: string): TestHost | undefined {
      if (title.startsWith("wait")) return undefined;
      const [, number] = /\bm(\d)\b/.exec(title) ?? [];
      if (number !== undefined) return host(Number(number));
      return title.includes("load balancer") ? host(5) : undefined;
    }

    /** Whether a step is cut off: those that have a host are counted in `met`, each once. */
    function isCut(title: string, met: Set<string>): boolean {
      if (hostOf(title) === undefined || met.has(title)) return false;
      met.add(title);
      return met.size % stride === 0;
    }

    /** Applies, and cuts the host of the next step off that is to be. Null when there was none: it is complete. */
    async function applyWithCut(met: Set<string>): Promise<string | null> {
      const run = cluster.start(["apply", "-auto-approve", "-json"], { timeoutMs: 120_000 });
      const isOver = run.end.then(() => true);
      let step: string | null = null;
      while (step === null && !(await Promise.race([isOver, sleep(10, false)]))) {
        const lines = run.printed().split("\n").slice(0, -1);
        const events = lines.map((line) => JSON.parse(line) as StepEvent).filter(({ type }) => type === "step_start");
        step = events.map((event) => event.step?.title ?? "").find((title) => isCut(title, met)) ?? null;
      }
      if (step !== null) await cut(hostOf(step)!);
      const { code, stdout } = await run.end;
      await restore();
      if (step === null) expect(code, stdout).toBe(0);
      return step === null ? null : `${step}: ${code}`;
    }

    async function applyWithCuts(): Promise<readonly string[]> {
      const met = new Set<string>();
      const cuts: string[] = [];
      for (let attempt = 0; attempt < 60; attempt += 1) {
        const result = await applyWithCut(met);
        if (result === null) return cuts;
        cuts.push(result);
      }
      throw new Error(`No end after these cuts: ${cuts.join(", ")}`);
    }

    it("in each step that makes a cluster leave one that the next apply completes", async () => {
      const cuts = await applyWithCuts();
      console.log(cuts.join("\n"));
      expect(cuts.length).toBeGreaterThan(3 / stride);
      expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
      expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
    }, 600_000);

    it("in each step that replaces a master's host neither lose the quorum nor touch the other masters", async () => {
      const masters = async (): Promise<string> => {
        const script =
          "systemctl show --property=MainPID,ActiveEnterTimestamp 'haplan-*'; ls -l /etc/systemd/system/haplan-*";
        return (await Promise.all([1, 2].map((number) => cluster.on(host(number), script)))).join("\n");
      };
      const before = await masters();
      const client = cluster.client(`https://${host(5).ipv4}:2379`);
      const writer = new PacedWriter(client, "/cuts/", writesPerSecond);
      cluster.write(spec([1, 2, 4]));
      const cuts = await applyWithCuts().finally(() => writer.stop());
      console.log(cuts.join("\n"), writer.summary());
      expect(cuts.length).toBeGreaterThan(6 / stride);
      expect(writer.failures).toEqual([]);
      expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
      expect(await masters()).toBe(before);
      expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
      expect(await cluster.on(host(4), "ls /var/lib/haplan/cuts/machines")).toMatch(/^m4(\.\d+)?$/);
      expect(await cluster.on(host(3), leftovers)).toBe("");
    }, 600_000);

    it("in a destroy leave nothing once it is repeated", async () => {
      for (const number of [1, 2, 4, 5]) {
        await cut(host(number));
        expect((await cluster.try("destroy", "-auto-approve")).code).toBe(1);
        await restore();
      }
      await cluster.run("destroy", "-auto-approve");
      expect(await Promise.all(set.hosts.map((each) => cluster.on(each, leftovers)))).toEqual(set.hosts.map(() => ""));
    }, 600_000);
  },
  { programs: { nft: "--version" } },
);
