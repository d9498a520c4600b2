/**
 * The program haplan-host on a real host, under systemd: the contract of providers, a member of a cluster, the sandbox,
 * restarts, and what is left in the end. It leaves the hosts running.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Artifact, buildArtifact } from "../../src/artifact/build-artifact.ts";
import { HostClient } from "../../src/host/host-client.ts";
import { decodeLogEvents, logFlags } from "../../src/host/log-lines.ts";
import type { Provider } from "../../src/providers/provider.ts";
import type { UnitDefinition } from "../../src/units/unit-definition.ts";
import { describeProvider, probeProgram } from "../providers/provider-contract.ts";
import { providerOfHost } from "../providers/provider-of-host.ts";
import { root as packageDirectory } from "../structure/imports.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet } from "./host-set.ts";

const machine = { name: "m1", zone: null, lineage: "lineage-a", generation: 1 };

describeHosts("haplan-host on a host", () => {
  let set: HostSet;
  let before: string;
  let artifact: Artifact;
  const address = (): string => set.hosts[0]!.ipv4;
  const ssh = (command: string): readonly string[] => {
    const options = ["-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${set.knownHostsFile}`, "-i", set.keyFile];
    return ["-o", "ConnectTimeout=5", ...options, `root@${address()}`, command];
  };
  const run = async (command: string): Promise<string> => (await execa("ssh", ssh(command))).stdout;
  const open = async (cluster: string, programs = "/opt/haplan/current/cmd"): Promise<HostClient> => {
    const command = `/opt/haplan/current/bin/haplan-host --cluster=${cluster} --programs-dir=${programs}`;
    const child = execa("ssh", ssh(command), { stdin: "pipe", buffer: false, reject: false });
    const whyEnded = async (): Promise<string> => `ssh ended with exit code ${(await child).exitCode}`;
    return await HostClient.open({ fromHost: child.stdout, toHost: child.stdin, whyEnded });
  };
  const logs: Provider["logs"] = async function* (machine, request, signal) {
    const words = ["/opt/haplan/current/bin/haplan-host", "--cluster=contract", ...logFlags(machine, request)];
    const child = execa("ssh", ssh(words.join(" ")), { stdin: "pipe", buffer: false });
    signal.addEventListener("abort", () => child.stdin.end(), { once: true });
    yield* decodeLogEvents(child.stdout);
    await child;
  };
  /** What haplan must leave as it was. */
  const inventory = (): Promise<string> =>
    run(
      "cut -d: -f1 /etc/passwd /etc/group; find /etc/systemd /var/lib /opt -not -path '/var/lib/systemd/*' | sort; ls /run | grep haplan; systemctl list-units --all --plain --no-legend 'haplan*'",
    );

  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), "haplan-host-program-"));
    set = await bringUp(2, "complete");
    artifact = await buildArtifact({
      packageDirectory,
      version: "0.1.0",
      architecture: process.arch === "arm64" ? "arm64" : "x64",
      out: join(directory, "artifact.tar.gz"),
      signal: new AbortController().signal,
    });
    await run("rm -rf /opt/haplan /opt/probe");
    before = await inventory();
    const place = `/opt/haplan/${artifact.digest}`;
    const unpack = `mkdir -p ${place} && tar -xz -C ${place} --strip-components=1 && ln -sfn ${place} /opt/haplan/current`;
    await execa("ssh", ssh(unpack), { inputFile: artifact.path });
    await execa("ssh", ssh("mkdir -p /opt/probe/probe && cat > /opt/probe/probe/main.js"), { input: probeProgram });
    rmSync(directory, { recursive: true });
  }, 600_000);

  afterAll(async () => {
    if (set !== undefined) await run("rm -rf /opt/haplan /opt/probe");
  });

  describeProvider("on a host with systemd", async () => ({
    provider: providerOfHost(await open("contract", "/opt/probe"), logs),
    again: async () => providerOfHost(await open("contract", "/opt/probe"), logs),
    close: async () => {},
  }));

  const member = (): UnitDefinition => ({
    name: "agent",
    program: { kind: "haplan", command: "haplan-agent" },
    arguments: [
      "--name=m1",
      "--data-dir=@DATA@",
      `--listen-client-urls=http://${address()}:2379`,
      `--advertise-client-urls=http://${address()}:2379`,
      `--listen-peer-urls=http://${address()}:2380`,
      `--initial-advertise-peer-urls=http://${address()}:2380`,
      `--initial-cluster=m1=http://${address()}:2380`,
      '--initial-cluster-token=50% of $HOME "quoted" \\ and more',
    ],
    environment: { PERCENT: "100%" },
    files: [{ path: "tls/note", content: "a", mode: 0o600 }],
    listens: [`${address()}:2379`, `${address()}:2380`],
  });
  const unitName = "haplan-demo-m1-agent.service";
  const until = async (what: string, look: () => Promise<boolean>): Promise<void> => {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      if (await look().catch(() => false)) return;
      await sleep(300);
    }
    throw new Error(`It took more than 30 s until ${what}`);
  };
  const health = async (): Promise<boolean> =>
    (await execa("curl", ["-s", "-m", "1", `http://${address()}:2379/health`])).stdout.includes("true");

  it("says which host it is", async () => {
    const client = await open("demo");
    expect(await client.facts()).toEqual({ hostname: "h1", machineId: await run("cat /etc/machine-id") });
    await client.close();
  }, 30_000);

  it("runs a member as its own user in a sandbox that systemd rates OK, and tells systemd that it is ready", async () => {
    const client = await open("demo");
    await client.createMachine({ ...machine, address: address() });
    const { pid } = await client.startUnit("m1", member());
    await until("the member serves", health);
    await until("systemd knows it", async () => (await run(`systemctl is-active ${unitName}`)) === "active");
    expect(await run(`ps -o user= -p ${pid}; systemctl is-enabled ${unitName}`)).toBe("haplan\nenabled");
    expect(await run(`systemctl show -p OOMScoreAdjust,LimitNOFILE,WatchdogUSec ${unitName}`)).toBe(
      "WatchdogUSec=1min\nLimitNOFILE=1048576\nOOMScoreAdjust=-900",
    );
    expect(await run(`cat /proc/${pid}/cmdline | tr '\\0' '\\n' | tail -1`)).toBe(
      '--initial-cluster-token=50% of $HOME "quoted" \\ and more',
    );
    expect(await run(`systemd-analyze verify /etc/systemd/system/${unitName} 2>&1 || true`)).toBe("");
    const rated = await run(`systemd-analyze security --no-pager ${unitName} | tail -1`);
    console.log(rated);
    expect(Number(/: ([\d.]+)/.exec(rated)![1])).toBeLessThan(5);
    expect(await client.unitLog("m1", "agent", 100)).toContain("ready to serve client requests");
    // The directory of its files stays root's, and its data is its own.
    const owners = await run(
      "cd /var/lib/haplan/demo/machines/m1; stat -c '%U %a' data units/agent/files units/agent/files/tls/note",
    );
    expect(owners).toBe("haplan 700\nroot 750\nhaplan 600");
    await client.close();
  }, 90_000);

  it("is restarted when it dies, when it hangs, and when the host boots", async () => {
    const pidNow = async (): Promise<string> => await run(`systemctl show -p MainPID --value ${unitName}`);
    const first = await pidNow();
    await run(`kill -KILL ${first}`);
    await until("a dead member is back", async () => !["0", first].includes(await pidNow()) && (await health()));
    const second = await pidNow();
    await run(`kill -STOP ${second}`);
    for (let waitedMs = 0; (await pidNow()) === second && waitedMs < 120_000; waitedMs += 1000) await sleep(1000);
    await until("a member that hung is back", health);
    expect(await pidNow()).not.toBe(second);
    // What a boot starts: a container cannot boot again under this test.
    await run(`systemctl stop ${unitName} && systemctl start multi-user.target`);
    await until("the target has started it", health);
    const client = await open("demo");
    expect((await client.observe("lineage-a", [])).machines).toMatchObject([
      { name: "m1", units: [{ running: true }] },
    ]);
    await client.close();
  }, 300_000);

  it("runs HAProxy as that user too, on a low port, and reloads it without a restart", async () => {
    const config = (name: string): string =>
      `global\n  log stdout format raw local0\n  stats socket unix@admin.sock mode 600 level admin\ndefaults\n  mode tcp\n  timeout client 1m\n  timeout server 1m\n  timeout connect 1s\nlisten ${name}\n  bind ${address()}:443\n  server m1 ${address()}:2379\n`;
    const balancer = (name: string): UnitDefinition => ({
      name: "load-balancer",
      program: { kind: "system", command: "haproxy" },
      arguments: ["-W", "-db", "-f", "@UNIT@/haproxy.cfg"],
      environment: {},
      files: [{ path: "haproxy.cfg", content: config(name), mode: 0o600 }],
      listens: [`${address()}:443`],
      reload: { signal: "SIGUSR2", files: ["haproxy.cfg"] },
    });
    const client = await open("demo");
    const { pid } = await client.startUnit("m1", balancer("first"));
    const through = async (): Promise<boolean> =>
      (await execa("curl", ["-s", "-m", "1", `http://${address()}:443/health`])).stdout.includes("true");
    await until("HAProxy serves", through);
    expect(await client.startUnit("m1", balancer("second"))).toEqual({ pid });
    await until("HAProxy serves again", through);
    expect(await run(`ps -o user= -p ${pid}; ls /run/haplan-demo-m1-load-balancer`)).toBe("haplan\nadmin.sock");
    await until("the journal has its log", async () =>
      /new worker/i.test(await client.unitLog("m1", "load-balancer", 50)),
    );
    await client.removeUnit("m1", "load-balancer");
    expect(await through().catch(() => false)).toBe(false);
    await client.close();
  }, 90_000);

  it("lets no cluster take a unit of another one", async () => {
    const other = await open("demo-m1");
    await other.createMachine({ ...machine, name: "x", address: address() });
    await run(`cp /etc/systemd/system/${unitName} /etc/systemd/system/haplan-demo-m1-x-agent.service`);
    await expect(other.startUnit("x", { ...member(), listens: [] })).rejects.toMatchObject({
      code: "provider/unit-taken",
    });
    await run("rm /etc/systemd/system/haplan-demo-m1-x-agent.service");
    await other.destroyMachine("x");
    await other.close();
  }, 60_000);

  it("leaves nothing when its last machine is destroyed", async () => {
    const client = await open("demo");
    await client.destroyMachine("m1");
    await client.close();
    await run("rm -rf /opt/haplan /opt/probe");
    expect(await inventory()).toBe(before);
  }, 60_000);
});
