/** `packages: install`: what units need is installed by the hosts' package manager, and removed again. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { ClusterOnHosts, contentsOf, type HostsSpec, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { type PackageMirror, servePackages } from "./package-mirror.ts";
import type { TestHost } from "./test-host.ts";

/** What apt and dpkg write on the way, and what the packages of Debian leave when they are purged. */
const ofPackageManager =
  / \/var\/lib\/(apt|dpkg|systemd)|^\/var\/(lib\/(apt|dpkg)|cache|backups)\b|^\/etc\/ld\.so\.cache|\/etc\/\.pwd\.lock/;

describeHosts("packages on hosts", () => {
  let set: HostSet;
  let hosts: readonly [TestHost, TestHost, TestHost, TestHost];
  let mirror: PackageMirror;
  let cluster: ClusterOnHosts | undefined;

  beforeAll(async () => {
    set = await bringUp(4, "bare");
    hosts = set.hosts as unknown as typeof hosts;
    const bridge = hosts[0].ipv4.replace(/\d+$/, "1");
    mirror = await servePackages(["etcd-server", "haproxy"], `${hosts[0].directory}/root`, bridge);
    const source = `echo "${mirror.source}" > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*`;
    await Promise.all(hosts.map((host) => runOnTestHost(set, host, source)));
  }, 900_000);
  afterEach(async () => {
    await cluster?.teardown();
    cluster = undefined;
  }, 120_000);
  afterAll(async () => {
    await mirror?.close();
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 60_000);

  const spec = (provider = ""): HostsSpec => ({
    name: "packages",
    engine: "etcd",
    masters: [
      ["m1", hosts[0]],
      ["m2", hosts[1]],
      ["m3", hosts[2]],
    ],
    balancer: hosts[3],
    balancerType: "haproxy",
    provider,
  });
  const contents = async (): Promise<readonly string[]> =>
    (await Promise.all(hosts.map((host) => contentsOf(set, host)))).flatMap((text, i) =>
      text
        .split("\n")
        .filter((line) => !ofPackageManager.test(line))
        .map((line) => `h${i + 1} ${line}`),
    );

  it("names the package and the key where a program is missing, and changes nothing", async () => {
    const before = await contents();
    cluster = new ClusterOnHosts(set, spec());
    const { code, stderr } = await cluster.try("apply", "-auto-approve");
    console.log(stderr);
    expect(code).toBe(1);
    for (const text of ["etcd-server", "haproxy", "packages: install"]) expect(stderr).toContain(text);
    expect(await contents()).toEqual(before);
  }, 300_000);

  it("installs them without starting their services, and removes them with the last machine", async () => {
    const before = await contents();
    cluster = new ClusterOnHosts(set, spec(", packages: install"));
    const plan = await cluster.run("plan");
    expect(plan).toMatch(/\+ packages\s+= \[\s+\+ "etcd"/);
    await cluster.run("apply", "-auto-approve");
    const requests = mirror.requests();
    expect(requests).toBeGreaterThan(0);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    const services = "systemctl is-active etcd haproxy; systemctl is-enabled etcd haproxy; ls /usr/sbin/policy-rc.d";
    for (const host of hosts) {
      const found = await cluster.on(host, services);
      expect(found).not.toMatch(/^(active|enabled)$/m);
      expect(found).not.toContain("policy-rc.d");
    }
    expect(await cluster.on(hosts[3], "cat /var/lib/haplan/.packages.json")).toContain('"haproxy"');
    expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
    expect((await cluster.teardown()).destroy).toMatchObject({ code: 0 });
    const after = await contents();
    const differences = [
      ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
      ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ];
    expect(differences).toEqual([]);
  }, 300_000);
});
