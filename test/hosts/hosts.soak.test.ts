import { existsSync } from "node:fs";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeHosts } from "./describe-hosts.ts";
import { network } from "./host-network.ts";
import { bringUp, type HostSet, hostsDirectory, takeDown } from "./host-set.ts";
import { cutOff, powerOff, rejoin, type TestHost } from "./test-host.ts";

async function onHost(
  { keyFile, knownHostsFile }: HostSet,
  address: string,
  command: string,
  withinSeconds = 10,
): Promise<string> {
  const options = [
    "-o",
    "BatchMode=yes",
    "-o",
    `ConnectTimeout=${withinSeconds}`,
    "-o",
    `UserKnownHostsFile=${knownHostsFile}`,
    "-i",
    keyFile,
  ];
  return (await execa("ssh", [...options, `admin@${address}`, command])).stdout;
}

describeHosts("test hosts", () => {
  beforeAll(takeDown, 60_000);
  afterAll(takeDown, 60_000);

  it("are systems of their own that reach each other, and let admin in with sudo", async () => {
    const set = await bringUp(2, "complete");
    const ids = await Promise.all(set.hosts.map(({ ipv4 }) => onHost(set, ipv4, "cat /etc/machine-id")));
    expect(new Set(ids).size).toBe(2);
    const [first, second] = set.hosts as [TestHost, TestHost];
    expect(await onHost(set, first.ipv6, "hostname; sudo -n id -u; ls /usr/sbin/keepalived")).toBe(
      "h1\n0\n/usr/sbin/keepalived",
    );
    const greeting = await onHost(set, first.ipv4, `timeout 5 bash -c 'head -c 8 </dev/tcp/${second.ipv4}/22'`);
    expect(greeting).toBe("SSH-2.0-");
  }, 900_000);

  it("stay as they are when they are asked for again, and one that has no power is recreated", async () => {
    const before = await bringUp(2, "complete");
    await onHost(before, before.hosts[0]!.ipv4, "touch kept");
    await powerOff({ name: "h2" });
    const after = await bringUp(2, "complete");
    expect(await onHost(after, after.hosts[0]!.ipv4, "ls")).toBe("kept");
    expect(after.hosts[1]!.hostKey).not.toBe(before.hosts[1]!.hostKey);
  }, 120_000);

  it("are cut off, and come back", async () => {
    const set = await bringUp(2, "complete");
    const [first] = set.hosts as [TestHost];
    await cutOff(first);
    await expect(onHost(set, first.ipv4, "true", 1)).rejects.toThrow(/timed out|No route/);
    await rejoin(first);
    expect(await onHost(set, first.ipv4, "hostname", 20)).toBe("h1");
  }, 60_000);

  it("leave nothing but the images", async () => {
    const { hosts } = await bringUp(2, "complete");
    await takeDown();
    expect(hosts.filter(({ directory }) => existsSync(directory))).toEqual([]);
    expect((await execa("ip", ["link"])).stdout).not.toContain(`hp${network}-`);
    expect(existsSync(hostsDirectory)).toBe(true);
  }, 120_000);
});
