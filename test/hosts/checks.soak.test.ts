/**
 * Hosts that violate each check in turn, and what the user is told. Two violations are stand-ins: the kernel's clock is that of
 * this machine, so that a host whose clock is wrong has a date(1) that says so; and a slow disk is the disk of this machine, with
 * writes that the kernel delays for one host.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ClusterOnHosts, contentsOf, type HostsSpec, hostsSpecText } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bridgeName } from "./host-network.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { missingSlowDisk, slowDown } from "./slow-disk.ts";
import { powerOff, powerOn, sshdAsInit, type TestHost } from "./test-host.ts";

type Violation = {
  readonly of: string;
  /** Which host, and scripts that violate the check there and undo that. */
  readonly host: number;
  readonly violate: string;
  readonly undo: string;
  readonly code: 0 | 1;
  /** Parts of what is printed, with the addresses of hosts as h1 to h5. */
  readonly told: readonly (string | RegExp)[];
};

const movedClock = (by: string): Pick<Violation, "violate" | "undo"> => ({
  violate: `printf '#!/bin/sh\\nexec /usr/bin/date -d "${by}" "$@"\\n' > /usr/local/bin/date; chmod +x /usr/local/bin/date`,
  undo: "rm /usr/local/bin/date",
});
const blocked = (rule: string): Pick<Violation, "violate" | "undo"> => ({
  violate: `nft add table inet t; nft add chain inet t in '{ type filter hook input priority 0; }'; nft add rule inet t in ${rule}`,
  undo: "nft delete table inet t",
});

const violations: readonly Violation[] = [
  {
    of: "clock, by hours",
    host: 2,
    ...movedClock("-2 hours"),
    code: 1,
    told: [
      "Error: The clock of m2 (h2) is 2 h behind the clock of this machine",
      "would not be valid on that host yet",
      /Warning: The clocks of m2 \(h2\) and .* differ by 2 h/,
    ],
  },
  {
    of: "clock, by seconds",
    host: 3,
    ...movedClock("3 seconds"),
    code: 0,
    told: [/Warning: The clocks of .* and m3 \(h3\) differ by [23]\.\d\d s/, /m3 \(h3\): \+[23]\.\d\d s/],
  },
  {
    of: "port",
    host: 1,
    violate: "systemd-run -q --unit=squatter systemd-socket-activate -l 0.0.0.0:2380 cat",
    undo: "systemctl stop squatter",
    code: 1,
    told: [/Error: h1:2380 on m1 \(h1\) is in use by systemd-socket-activate \(pid \d+, squatter\.service\)/],
  },
  {
    of: "firewall that drops packets between two hosts",
    host: 2,
    ...blocked("ip saddr HOST1 tcp dport 2380 drop"),
    code: 1,
    told: ["Error: m2 cannot be reached at h2:2380 from m1: no answer within 3 s", "Allow TCP port 2380 to h2."],
  },
  {
    of: "firewall that rejects connections",
    host: 4,
    ...blocked("ip saddr HOST5 tcp dport 2379 reject with tcp reset"),
    code: 1,
    told: ["Error: load-balancer cannot be reached at h4:2379 from w2: the connection is refused"],
  },
  {
    of: "firewall against this machine",
    host: 1,
    ...blocked("ip saddr HOST0 tcp dport 2379 drop"),
    code: 1,
    told: ["Error: m1 cannot be reached at h1:2379 from this machine: no answer within 3 s"],
  },
  {
    of: "space for data",
    host: 1,
    violate: "mkdir /var/lib/haplan; mount -t tmpfs -o size=64M tmpfs /var/lib/haplan",
    undo: "umount /var/lib/haplan; rmdir /var/lib/haplan",
    code: 1,
    told: ["Error: m1 (h1) has 64 MiB free at /var/lib/haplan", "Its data need 256 MiB."],
  },
  {
    of: "space for programs",
    host: 3,
    violate: "mount -t tmpfs -o size=64M tmpfs /opt",
    undo: "umount /opt",
    code: 1,
    told: ["Error: m3 (h3) has 64 MiB free at /opt", "haplan's programs, below /opt, need 512 MiB."],
  },
  {
    of: "sudo without a password",
    host: 2,
    violate: "echo 'admin ALL=(ALL) ALL' > /etc/sudoers.d/admin",
    undo: "echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin",
    code: 1,
    told: ["Error: m2 (h2) cannot become root", /sudo: a password is\s+│?\s*required/],
  },
  {
    of: "sudo",
    host: 2,
    violate: "mv /usr/bin/sudo /usr/bin/sudo.away",
    undo: "mv /usr/bin/sudo.away /usr/bin/sudo",
    code: 1,
    told: ["Error: m2 (h2) cannot become root", "sudo: not found"],
  },
  {
    of: "tools",
    host: 5,
    violate: "mv /usr/bin/flock /usr/bin/flock.away",
    undo: "mv /usr/bin/flock.away /usr/bin/flock",
    code: 1,
    told: ["Error: w2 (h5) has no flock"],
  },
];

describeHosts("checks of hosts", () => {
  let set: HostSet;
  let cluster: ClusterOnHosts;
  const host = (number: number): TestHost => set.hosts[number - 1]!;
  const spec = (): HostsSpec => ({
    name: "checked",
    engine: "agent",
    masters: [1, 2, 3].map((number) => [`m${number}`, host(number)] as const),
    workers: [
      ["w1", host(4)],
      ["w2", host(5)],
    ],
    balancer: host(4),
    balancerType: "embedded",
  });
  const allHosts = (): readonly TestHost[] => set.hosts;

  beforeAll(async () => {
    await takeDown();
    set = await bringUp(5, "complete");
    cluster = new ClusterOnHosts(set, spec());
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    await takeDown();
  }, 120_000);

  /** What haplan prints, with names in place of addresses. */
  async function told(...words: string[]): Promise<{ readonly code: number | null; readonly text: string }> {
    const { code, stdout, stderr } = await cluster.try(...words);
    const text = allHosts().reduce((all, { name, ipv4 }) => all.replaceAll(ipv4, name), `${stdout}\n${stderr}`);
    return { code, text };
  }

  const contents = (): Promise<readonly string[]> => Promise.all(allHosts().map((each) => contentsOf(set, each)));
  const listeners = async (): Promise<readonly string[]> =>
    await Promise.all(allHosts().map((each) => cluster.on(each, "pgrep -x systemd-socket-; true")));

  it("that are in order find no error, and leave nothing", async () => {
    const before = await contents();
    const { code, text } = await told("check");
    expect(text).toMatch(/Success! 5 hosts passed all checks/);
    expect(text).not.toContain("not tried");
    expect(code).toBe(0);
    expect(await contents()).toEqual(before);
    expect((await listeners()).join("")).toBe("");
  }, 120_000);

  it.each(violations)(
    "tell a violation of: $of",
    async (violation) => {
      const target = host(violation.host);
      const named = (script: string): string =>
        script.replace(/HOST(\d)/, (_, number: string) =>
          number === "0" ? target.ipv4.replace(/\d+$/, "1") : host(Number(number)).ipv4,
        );
      await cluster.on(target, named(violation.violate));
      try {
        const { code, text } = await told("check");
        for (const part of violation.told)
          expect(text).toEqual(expect.stringMatching(part instanceof RegExp ? part : literal(part)));
        expect(code).toBe(violation.code);
      } finally {
        await cluster.on(target, violation.undo);
      }
    },
    120_000,
  );

  it("tell two hosts with one machine-id", async () => {
    const own = await cluster.on(host(3), "cat /etc/machine-id");
    await cluster.on(host(3), `echo ${await cluster.on(host(2), "cat /etc/machine-id")} > /etc/machine-id`);
    try {
      const { code, text } = await told("check");
      expect(text).toContain("Error: m2 (h2) and m3 (h3) have the same machine-id");
      expect(text).toContain("systemd-machine-id-setup");
      expect(code).toBe(1);
    } finally {
      await cluster.on(host(3), `echo ${own} > /etc/machine-id`);
    }
  }, 120_000);

  it.skipIf(missingSlowDisk !== null)(
    `tell a slow disk${missingSlowDisk === null ? "" : ` (skipped: ${missingSlowDisk})`}`,
    async () => {
      const undo = await slowDown(host(1), 20);
      try {
        const { text } = await told("check");
        const [, milliseconds = ""] =
          // All in one warning where other hosts are slow as well.
          /m1 \(h1\)(?: writes slowly)?: (\d+) ms/.exec(text) ?? [];
        expect(Number(milliseconds)).toBeGreaterThan(45);
      } finally {
        await undo();
      }
    },
    120_000,
  );

  it("tell a host that does not run systemd", async () => {
    await powerOff(host(5));
    await powerOn(host(5), sshdAsInit(host(5)));
    try {
      const { code, text } = await told("check");
      expect(text).toContain("Error: w2 (h5) does not run systemd");
      expect(code).toBe(1);
    } finally {
      await powerOff(host(5));
      await powerOn(host(5));
    }
  }, 180_000);

  it("tell everything of all hosts at once, also a host that does not answer, in text and as events", async () => {
    await cluster.on(host(1), "mv /usr/bin/flock /usr/bin/flock.away");
    await cluster.on(host(2), "echo 'admin ALL=(ALL) ALL' > /etc/sudoers.d/admin");
    await powerOff(host(5));
    try {
      const { code, text } = await told("check");
      expect(code).toBe(1);
      expect(text).toContain("It is the host of w2, reached as h5.");
      expect(text).toContain("Error: m1 (h1) has no flock");
      expect(text).toContain("Error: m2 (h2) cannot become root");
      const events = (await cluster.try("check", "-json")).stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { readonly type: string; readonly diagnostic?: { readonly code: string } });
      expect(events.filter(({ type }) => type === "host_facts")).toHaveLength(4);
      const codes = events.flatMap(({ diagnostic }) => (diagnostic === undefined ? [] : [diagnostic.code]));
      expect(codes).toEqual(expect.arrayContaining(["hosts/programs", "hosts/become"]));
    } finally {
      await cluster.on(host(1), "mv /usr/bin/flock.away /usr/bin/flock");
      await cluster.on(host(2), "echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin");
      await powerOn(host(5));
    }
  }, 180_000);

  it("tell a virtual address that another machine has, of the cluster or not", async () => {
    const vip = host(1).ipv4.replace(/\d+$/, "200");
    const line = (number: number): string => {
      const { ipv4, hostKey } = host(number);
      return `{ name: lb${number}, address: ${ipv4}, ssh: { hostKey: ${hostKey} } }`;
    };
    const balancers = `loadBalancer: { type: haproxy, hosts: [${line(4)}, ${line(5)}], vip: ${vip}, ports: [2379] }`;
    const text = hostsSpecText(set, spec());
    cluster.writeSpec(text.replace(/loadBalancer: .*/, balancers));
    try {
      expect((await told("check")).text).toContain("Success!");
      await cluster.on(host(1), `ip address add ${vip}/32 dev host0`);
      const own = await told("check");
      expect(own.text).toContain(`Error: The virtual address ${vip} is in use by m1 (h1)`);
      await cluster.on(host(1), `ip address del ${vip}/32 dev host0`);
      await execa("ip", ["address", "add", `${vip}/32`, "dev", bridgeName]);
      const other = await told("check");
      expect(other.text).toMatch(
        /Error: The virtual address \S+ is in use by a machine with the MAC address [0-9a-f:]{17}/,
      );
      expect(other.code).toBe(1);
    } finally {
      await execa("ip", ["address", "del", `${vip}/32`, "dev", bridgeName], { reject: false });
      cluster.writeSpec(text);
    }
    expect((await told("check")).text).toContain("Success!");
  }, 180_000);

  it("leave nothing when haplan is killed in the middle", async () => {
    const before = await contents();
    for (const afterMs of [1_000, 2_000, 3_000]) {
      const running = cluster.start(["check"], { timeoutMs: 60_000 });
      await sleep(afterMs);
      running.signal("SIGKILL");
      await running.end;
      await expect.poll(async () => (await listeners()).join(""), { timeout: 15_000 }).toBe("");
      expect(await contents()).toEqual(before);
    }
  }, 180_000);

  it("stop a plan and an apply before anything is changed", async () => {
    const before = await contents();
    await cluster.on(host(1), "systemd-run -q --unit=squatter systemd-socket-activate -l 0.0.0.0:2380 cat");
    try {
      for (const words of [
        ["plan", "-out=saved.plan"],
        ["apply", "-auto-approve"],
      ]) {
        const { code, text } = await told(...words);
        expect(text).toMatch(/Plan: \d+ to add/);
        expect(text).toContain("Error: h1:2380 on m1 (h1) is in use by systemd-socket-");
        expect(code).toBe(1);
      }
    } finally {
      await cluster.on(host(1), "systemctl stop squatter");
    }
    expect(await contents()).toEqual(before);
  }, 180_000);

  it("find no error once there is a cluster: its own members have their ports", async () => {
    await cluster.run("apply", "-auto-approve");
    const { code, text } = await told("check");
    expect(text).toContain("Success!");
    expect(text).not.toContain("not tried");
    expect(code).toBe(0);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    await cluster.run("destroy", "-auto-approve");
  }, 300_000);
});

function literal(text: string): RegExp {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(" ", "\\s+(?:│\\s+)?"));
}
