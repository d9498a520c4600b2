/** The provider `ssh` on real hosts: the contract of every provider, and a cluster from nothing to nothing. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { openProvider } from "../../src/providers/open-provider.ts";
import { specReader } from "../../src/providers/spec-reader.ts";
import { ArtifactCache } from "../../src/providers/ssh/artifact-cache.ts";
import { describeProvider, probeProgram } from "../providers/provider-contract.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { cutOff, rejoin, type TestHost } from "./test-host.ts";

const haplanProgram = fileURLToPath(new URL("../../dist/cmd/haplan/main.js", import.meta.url));
const ownArch = process.arch as "x64" | "arm64";

describeHosts("clusters on hosts", () => {
  let directory: string;
  let set: HostSet;
  /** haplan's artifact with the program `probe` in it. */
  let artifact: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "haplan-hosts-"));
    await takeDown();
    set = await bringUp(5, "complete");
    const built = await new ArtifactCache(new AbortController().signal).get(ownArch);
    artifact = await withProbe(built);
  }, 900_000);
  afterAll(async () => {
    await takeDown();
    await rm(directory, { recursive: true, force: true });
  }, 60_000);

  async function withProbe(built: string): Promise<string> {
    const unpacked = join(directory, "unpacked");
    await mkdir(unpacked);
    await execa("tar", ["-xzf", built, "-C", unpacked]);
    const [top = ""] = await readdir(unpacked);
    await mkdir(join(unpacked, top, "cmd/probe"));
    await writeFile(join(unpacked, top, "cmd/probe/main.js"), probeProgram);
    const file = join(directory, "with-probe.tar.gz");
    await execa("tar", ["-czf", file, "-C", unpacked, top]);
    return file;
  }

  const line = (name: string, { ipv4, hostKey }: TestHost): string =>
    `{ name: ${name}, address: ${ipv4}, ssh: { hostKey: ${hostKey} } }`;

  function specOf(masters: readonly TestHost[], balancer: TestHost, more = ""): string {
    return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: metal }
spec:
  provider: { type: ssh, user: admin, identityFile: ${set.keyFile}${more} }
  controlPlane:
    members: ${masters.length}
    masters:
${masters.map((host) => `      - ${line(host.name.replace("h", "m"), host)}\n`).join("")}  loadBalancer: { type: embedded, address: ${balancer.ipv4}, ssh: { hostKey: ${balancer.hostKey} } }
`;
  }

  describeProvider("ssh", async () => {
    const [first, second, third, , balancer] = set.hosts as [TestHost, TestHost, TestHost, TestHost, TestHost];
    const text = specOf([first, second, third], balancer, `, artifact: { file: ${artifact} }`);
    const { spec, diagnostics } = specReader.parse("cluster.yaml", text);
    if (spec === null) throw new Error(JSON.stringify(diagnostics));
    const again = (): ReturnType<typeof openProvider> =>
      openProvider({
        spec,
        recorded: async () => [],
        directory,
        cwd: directory,
        signal: new AbortController().signal,
        clock: systemClock,
        log: () => undefined,
      });
    const { ipv4, hostKey } = first;
    const settings = { ssh: { host: ipv4, user: "admin", identityFile: set.keyFile, hostKey } };
    return { provider: await again(), again, settings, close: async () => undefined };
  });

  describe("a cluster", () => {
    const haplan = (words: readonly string[]): Promise<{ stdout: string; exitCode?: number }> =>
      execa(process.execPath, [haplanProgram, ...words], { cwd: directory, reject: false, all: true }).then((run) => ({
        stdout: run.all,
        ...(run.exitCode === undefined ? {} : { exitCode: run.exitCode }),
      }));
    const onHost = async ({ ipv4 }: TestHost, script: string): Promise<string> => {
      const options = ["-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${set.knownHostsFile}`, "-i", set.keyFile];
      return (await execa("ssh", [...options, `root@${ipv4}`, script], { reject: false })).stdout;
    };
    const files = async (host: TestHost): Promise<string> => {
      const script =
        "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /run -prune -o -path /tmp -prune -o -path /var/log -prune -o -path /var/lib/systemd -prune -o -path /var/lib/sudo -prune -o -path /root -prune -o -type f -print; cut -d: -f1 /etc/passwd; ls /etc/systemd/system";
      return (await onHost(host, script)).split("\n").sort().join("\n");
    };

    it("is made by the next apply when one is killed after some hosts have their artifact", async () => {
      const [first, second, third, , balancer] = set.hosts as [TestHost, TestHost, TestHost, TestHost, TestHost];
      await writeFile(join(directory, "cluster.yaml"), specOf([first, second, third], balancer));
      const killed = execa(process.execPath, [haplanProgram, "apply", "-auto-approve"], {
        cwd: directory,
        reject: false,
        detached: true,
      });
      await expect
        .poll(async () => await onHost(first, "ls /opt/haplan/current/bin 2>/dev/null"), { timeout: 60_000 })
        .toContain("haplan-host");
      process.kill(-killed.pid!, "SIGKILL");
      await killed;
      expect(await haplan(["apply", "-auto-approve"])).toMatchObject({ exitCode: 0 });
      expect((await haplan(["plan"])).stdout).toContain("No changes.");
      const status = await haplan(["status"]);
      expect(status.stdout).toMatch(/m1 ready, m2 ready, m3 ready/);
      expect(await haplan(["destroy", "-auto-approve"])).toMatchObject({ exitCode: 0 });
    }, 300_000);

    it("ends haplan at Ctrl-C although the program on a host hangs", async () => {
      const [first, second, third, , balancer] = set.hosts as [TestHost, TestHost, TestHost, TestHost, TestHost];
      await writeFile(join(directory, "cluster.yaml"), specOf([first, second, third], balancer));
      expect(await haplan(["apply", "-auto-approve"])).toMatchObject({ exitCode: 0 });
      const words = ["apply", "-auto-approve", "-replace=haplan_agent.m3"];
      const hanging = execa(process.execPath, [haplanProgram, ...words], { cwd: directory, reject: false, all: true });
      await onHost(
        third,
        "for i in $(seq 300); do p=$(pgrep -f cmd/haplan-host | tail -n 1); [ -n $p ] && kill -STOP $p && exit; sleep 0.05; done",
      );
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      hanging.kill("SIGINT");
      const late = new Promise((resolve) => setTimeout(() => resolve("late"), 10_000).unref());
      expect(await Promise.race([hanging.then(() => "ended"), late])).toBe("ended");
      await onHost(third, "pkill -CONT -f cmd/haplan-host");
      expect(await haplan(["apply", "-auto-approve"])).toMatchObject({ exitCode: 0 });
      expect(await haplan(["destroy", "-auto-approve"])).toMatchObject({ exitCode: 0 });
    }, 300_000);

    it("F5, F20: moves a master beside the load balancer, and recreates one whose files are damaged", async () => {
      const [first, second, third, , balancer] = set.hosts as [TestHost, TestHost, TestHost, TestHost, TestHost];
      const write = (masters: readonly TestHost[]): Promise<void> => {
        const text = specOf(masters, balancer).replace("type: embedded,", "type: embedded, ports: [2479],");
        return writeFile(join(directory, "cluster.yaml"), text.replace("name: m5", "name: m1"));
      };
      for (const masters of [
        [first, second, third],
        [balancer, second, third],
      ]) {
        await write(masters);
        const { exitCode, stdout } = await haplan(["apply", "-auto-approve"]);
        expect([exitCode, stdout]).toEqual([0, expect.stringContaining("Apply complete!")]);
      }
      expect((await haplan(["status"])).stdout).toMatch(/m1 .* https:\/\/\S+\.15:2379[\s\S]*3 of 3 voters healthy/);
      await onHost(third, "truncate -s 10 /var/lib/haplan/metal/machines/m3/machine.json");
      const damaged = await haplan(["plan", "-detailed-exitcode"]);
      expect([damaged.exitCode, damaged.stdout]).toEqual([
        0,
        expect.stringContaining("haplan_machine.m3 is unreachable"),
      ]);
      expect(damaged.stdout.replace(/\s*│?\s+/g, " ")).toContain(
        `on ${third.ipv4}, "/var/lib/haplan/metal/machines/m3/machine.json"`,
      );
      expect(await haplan(["apply", "-auto-approve", "-replace=haplan_machine.m3"])).toMatchObject({ exitCode: 0 });
      expect((await haplan(["plan", "-detailed-exitcode"])).exitCode).toBe(0);
      expect((await haplan(["status"])).stdout).toMatch(/3 of 3 voters healthy/);
      expect(await haplan(["destroy", "-auto-approve"])).toMatchObject({ exitCode: 0 });
    }, 300_000);

    it("is made, found as it is, seen to be cut off, grown, and removed without a trace", async () => {
      const [first, second, third, fourth, balancer] = set.hosts as [TestHost, TestHost, TestHost, TestHost, TestHost];
      const before = await files(first);
      const write = (masters: readonly TestHost[]): Promise<void> =>
        writeFile(join(directory, "cluster.yaml"), specOf(masters, balancer));
      await write([first, second, third]);
      expect(await haplan(["apply", "-auto-approve"])).toMatchObject({ exitCode: 0 });
      const settled = await haplan(["plan", "-detailed-exitcode"]);
      expect([settled.exitCode, settled.stdout]).toEqual([0, expect.stringContaining("No changes.")]);
      await cutOff(second);
      const cut = await haplan(["plan", "-detailed-exitcode"]);
      await rejoin(second);
      expect(cut.stdout).toContain("haplan_machine.m2 is unreachable");
      expect(cut.stdout).toContain("nothing to do");
      await write([first, second, fourth]);
      expect(await haplan(["apply", "-auto-approve"])).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining("Writes were available all the time"),
      });
      expect((await haplan(["status"])).stdout).toMatch(/3 of 3 voters healthy/);
      expect(await haplan(["destroy", "-auto-approve"])).toMatchObject({ exitCode: 0 });
      expect(await files(first)).toBe(before);
      expect(existsSync(join(directory, ".haplan/metal/state.json"))).toBe(false);
    }, 300_000);
  });
});
