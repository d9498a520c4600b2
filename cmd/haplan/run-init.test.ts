import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SurveyedHost } from "../../src/providers/spec-draft.ts";
import { specReader } from "../../src/providers/spec-reader.ts";
import { parseHosts } from "../../src/providers/ssh/host-argument.ts";
import { parseSurvey } from "../../src/providers/ssh/survey-host.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

const haplan = (line: string): Promise<CliRun> => cli.haplan(line);
const text = (file = "cluster.yaml"): string => readFileSync(join(cli.cwd, file), "utf8");
const written = (file = "cluster.yaml"): ClusterSpec => {
  const { spec, diagnostics } = specReader.parse(file, text(file));
  expect(diagnostics).toEqual([]);
  return spec!;
};

const facts = (changes: Partial<SurveyedHost> = {}): SurveyedHost => ({
  hostname: "host",
  os: "Debian GNU/Linux 12 (bookworm)",
  architecture: "x86_64",
  systemdVersion: 252,
  memoryBytes: 4 * 1024 ** 3,
  addresses: ["10.0.0.1"],
  becomesRoot: true,
  holder: null,
  ...changes,
});

describe("init", () => {
  it("writes a spec for this machine, which plans, and prints the command", async () => {
    const { code, out } = await haplan("init -name=lab");
    expect(code).toBe(0);
    expect(out).toContain("Wrote cluster.yaml: masters m1, m2, m3.");
    expect(out).toContain("\n    haplan plan cluster.yaml");
    expect(written()).toMatchObject({ name: "lab", provider: { type: "local" } });
    expect((await haplan("plan")).out).toMatch(/Plan: \d+ to add/);
  });

  it("A5: writes a spec for EC2, whose load balancer AWS has, and asks no host", async () => {
    const { code, out } = await haplan(
      "init -provider=aws -name=cloud -hosts ec2-user@10.0.1.10,10.0.2.10,10.0.3.10 -workers 10.0.1.20",
    );
    expect([code, out]).toEqual([0, expect.stringContaining("haplan check cluster.yaml")]);
    expect(written()).toMatchObject({
      provider: { type: "aws", vpc: "tag:Name=control-plane", user: "ec2-user" },
      controlPlane: { masters: [{ name: "m1", address: "10.0.1.10" }, { name: "m2" }, { name: "m3" }] },
      workers: [{ name: "w1", address: "10.0.1.20" }],
      loadBalancer: { type: "nlb" },
    });
    expect(text()).not.toContain("loadBalancer:");
  });

  it("A5: refuses a load balancer of its own for EC2, names of hosts, and a provider that there is not", async () => {
    expect((await haplan("init -provider=aws -load-balancer 10.0.0.8")).err).toContain(
      "-load-balancer and -vip are for hosts",
    );
    expect((await haplan("init -provider=aws -hosts m1,m2,m3")).err).toContain("is not a private IPv4 address");
    expect((await haplan("init -provider=gcp")).err).toContain("The providers are local, ssh, aws");
  });

  it("overwrites nothing, and prints to standard output where it is told to", async () => {
    writeFileSync(join(cli.cwd, "cluster.yaml"), "mine\n");
    const { code, err } = await haplan("init");
    expect({ code, kept: text() }).toEqual({ code: 1, kept: "mine\n" });
    expect(err).toContain("cluster.yaml exists already");
    const { out } = await haplan("init -");
    expect(specReader.parse("-", out).diagnostics).toEqual([]);
    expect((await haplan("init other.yaml")).code).toBe(0);
    expect(existsSync(join(cli.cwd, "other.yaml"))).toBe(true);
  });

  it.each([
    ["-hosts 10.0.0.1,10.0.0.1,10.0.0.2", "The address 10.0.0.1 is already used by a master of -hosts"],
    [
      "-hosts 10.0.0.1,10.0.0.2,10.0.0.3 -workers 10.0.0.3",
      "The address 10.0.0.3 is already used by a master of -hosts",
    ],
    [
      "-hosts 10.0.0.1,10.0.0.2,10.0.0.3 -workers 10.0.0.4,10.0.0.4",
      "The address 10.0.0.4 is already used by a worker of -workers",
    ],
  ])("names the flag that has a host already, and nothing else: %s", async (flags, summary) => {
    const { code, err } = await haplan(`init ${flags}`);
    expect([code, err.match(/^│ Error: .*$/gm)]).toEqual([1, [`│ Error: ${summary}`]]);
  });

  it("names hosts as they are themselves, and says what they are", async () => {
    cli.askHost = ({ host }) => {
      const number = host.split(".").at(-1)!;
      return facts({ hostname: `node-${number}.example.com`, addresses: [host] });
    };
    const { code, err } = await haplan(
      "init -hosts admin@10.0.0.1,10.0.0.2,root@10.0.0.3:2222 -identity-file=id -workers 10.0.0.4",
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(text()).toContain(
      "# Debian GNU/Linux 12 (bookworm), x86_64, 4.0 GiB of memory, systemd 252\n      - name: node-1\n",
    );
    const { provider, controlPlane, workers, loadBalancer } = written();
    expect(provider).toMatchObject({ type: "ssh", user: "admin", identityFile: "id" });
    expect(controlPlane.masters.map(({ name, address }) => `${name} ${address}`)).toEqual([
      "node-1 10.0.0.1",
      "node-2 10.0.0.2",
      "node-3 10.0.0.3",
    ]);
    expect(controlPlane.masters[2]).toMatchObject({ settings: { ssh: { user: "root", port: 2222 } } });
    expect(workers).toMatchObject([{ name: "node-4", address: "10.0.0.4" }]);
    // On the worker, since there is no host for it.
    expect(loadBalancer).toMatchObject({ address: "10.0.0.4", ports: [2379] });
  });

  it("takes the own address of a host that ssh alone knows by its name", async () => {
    cli.askHost = ({ host }) => facts({ hostname: "localhost", addresses: [`192.0.2.${host.slice(-1)}`] });
    await haplan("init -hosts m1,m2,m3 -load-balancer 10.0.0.9 -jump gate -ssh-option Compression=yes");
    const { provider, controlPlane, loadBalancer } = written();
    expect(provider).toMatchObject({ jump: "gate", sshOptions: ["Compression=yes"] });
    // A name that says nothing is not used.
    expect(controlPlane.masters[1]).toMatchObject({
      name: "m2",
      address: "192.0.2.2",
      settings: { ssh: { host: "m2" } },
    });
    expect(loadBalancer).toMatchObject({ address: "10.0.0.9", ports: [2379] });
  });

  it("gives several load balancers their virtual address", async () => {
    cli.askHost = ({ host }) => facts({ hostname: `node${host.slice(-1)}`, addresses: [host] });
    await haplan("init -hosts admin@10.0.0.1,10.0.0.2,10.0.0.3 -load-balancer 10.0.0.8,root@10.0.0.9 -vip 10.0.0.100");
    expect(text()).toContain("    vip: 10.0.0.100 # an unused address");
    const { loadBalancer } = written();
    expect(JSON.stringify(loadBalancer)).toMatch(
      /"name":"node8","zone":null,"address":"10.0.0.8".*"node9".*"user":"root"/,
    );
  });

  it.each<[string, (host: string, sought: string | null) => Partial<SurveyedHost>, string | null]>([
    ["no machine has", () => ({}), null],
    [
      "another machine has, asked from the load balancers",
      (_, sought) => ({ holder: sought === "10.0.0.100" ? "a machine that answers" : null }),
      "a machine that answers",
    ],
    ["one of the hosts has", (host) => (host.endsWith("2") ? { addresses: [host, "10.0.0.100"] } : {}), "10.0.0.2"],
  ])("warns of a virtual address that %s", async (_, answer, holder) => {
    const asked: string[] = [];
    cli.askHost = ({ host }, sought) => {
      if (sought !== null) asked.push(host);
      return facts({ hostname: `node${host.slice(-1)}`, addresses: [host], ...answer(host, sought) });
    };
    const { code, err } = await haplan(
      "init -hosts 10.0.0.1,10.0.0.2,10.0.0.3 -load-balancer 10.0.0.8,10.0.0.9 -vip 10.0.0.100",
    );
    expect({ code, asked }).toEqual({ code: 0, asked: ["10.0.0.8", "10.0.0.9"] });
    if (holder === null) expect(err).not.toContain("in use");
    else expect(err).toContain(`Warning: The virtual address 10.0.0.100 is in use by ${holder}`);
  });

  it("writes hosts that are not reached all the same, and warns of what haplan cannot work with", async () => {
    cli.askHost = ({ host }) => {
      if (host === "10.0.0.1") throw new Error("There is no route to 10.0.0.1. Check the cable");
      return facts(host === "10.0.0.2" ? { systemdVersion: null } : { becomesRoot: false });
    };
    const { code, out, err } = await haplan("init -hosts 10.0.0.1,10.0.0.2,10.0.0.3");
    expect({ code, isWritten: existsSync(join(cli.cwd, "cluster.yaml")) }).toEqual({ code: 1, isWritten: true });
    expect(out).toContain("\n    haplan check cluster.yaml");
    expect(err).toContain("The host 10.0.0.1 was not reached");
    expect(err).toContain("The host 10.0.0.2 does not run systemd");
    expect(err).toContain("The user cannot become root on 10.0.0.3");
    expect(text()).toContain("# not reached: There is no route to 10.0.0.1\n");
    expect(written().loadBalancer).toMatchObject({ address: "10.0.0.1", ports: [12_379] });
  });

  it.each([
    ["-hosts 10.0.0.1", "1 member is not allowed", "With two more masters, any one may fail."],
    ["-hosts 10.0.0.1,10.0.0.2", "2 members is not allowed", "Name it as well: `-hosts 10.0.0.1,10.0.0.2,ANOTHER`."],
    [
      "-hosts 10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4",
      "4 members is not allowed",
      "Name 3 of them with -hosts and the other with -workers, or one more",
    ],
    ["-hosts 10.0.0.1,,10.0.0.2", '-hosts: "" is not a host', "with commas between"],
    ["-hosts 10.0.0.1,10.0.0.1,10.0.0.2", "The address 10.0.0.1 is already used", ""],
    ["-workers 10.0.0.1", "-workers, -load-balancer, -vip, -identity-file and -jump are for hosts", "-hosts"],
    ["-hosts 10.0.0.1,10.0.0.2,10.0.0.3 -load-balancer h8,h9", "Several load balancers need a virtual address", "-vip"],
    ["-hosts 10.0.0.1,10.0.0.2,10.0.0.3 -vip 10.0.0.9", "-vip is for several load balancers", "-load-balancer"],
    ["-cacert ca.crt", "-cacert, -cert, -key and -ca-key are for -from-etcd", ""],
    ["-from-etcd https://10.0.0.1:2379 -cacert ca.crt", "-cacert, -cert and -key belong together", ""],
    ["-from-etcd 10.0.0.1:2379", '"10.0.0.1:2379" is not a client URL', "with scheme and port"],
    [
      "-from-etcd https://127.0.9.9:2379",
      "No member answered at https://127.0.9.9:2379",
      "need -cacert, -cert and -key",
    ],
    ["-name Bad_Name", 'metadata.name is "Bad_Name"', ""],
  ])("refuses %s, and asks no host", async (flags, summary, detail) => {
    cli.askHost = () => {
      throw new Error("a host was asked");
    };
    const { code, err } = await haplan(`init ${flags}`);
    const flat = err.replace(/\n│ ?/g, " ");
    expect(code).toBe(1);
    expect(flat).toContain(summary);
    expect(flat).toContain(detail);
    expect(flat).not.toContain("was not reached");
    expect(existsSync(join(cli.cwd, "cluster.yaml"))).toBe(false);
  });
});

describe("hosts on the command line", () => {
  it.each([
    ["10.0.0.1", [{ host: "10.0.0.1", user: null, port: null }]],
    [
      "a@h1:22, h2",
      [
        { host: "h1", user: "a", port: 22 },
        { host: "h2", user: "a", port: null },
      ],
    ],
    [
      "h1,b@h2",
      [
        { host: "h1", user: null, port: null },
        { host: "h2", user: "b", port: null },
      ],
    ],
    ["fd00::1", [{ host: "fd00::1", user: null, port: null }]],
    ["a@[fd00::1]:22", [{ host: "fd00::1", user: "a", port: 22 }]],
  ])("%s", (given, hosts) => expect(parseHosts("-hosts", given)).toEqual(hosts));

  it.each(["", "h1,", "@h1", "h1:0", "h1:70000", "-oProxyCommand=x", "a b", "ssh://h1"])("rejects %j", (given) =>
    expect(() => parseHosts("-hosts", given)).toThrow("is not a host"),
  );
});

describe("what a host says of itself", () => {
  it("is read from lines, whatever is missing", () => {
    const said = [
      "system\tLinux\t6.1.0-13-amd64\tx86_64\tm1",
      "user\t1000",
      "os\tDebian GNU/Linux 12 (bookworm)",
      "systemd\t252",
      "booted\tsystemd",
      "memory\t8000000",
      ...["127.0.0.1", "::1", "172.17.0.1", "10.0.0.1", "fe80::1", "fd00::1"].map((each) => `address\t${each}`),
      "route\t10.0.0.1",
      "root\tyes",
    ].join("\n");
    expect(parseSurvey(said)).toEqual({
      hostname: "m1",
      architecture: "x86_64",
      os: "Debian GNU/Linux 12 (bookworm)",
      systemdVersion: 252,
      memoryBytes: 8_192_000_000,
      addresses: ["10.0.0.1", "172.17.0.1", "fd00::1"],
      becomesRoot: true,
      holder: null,
    });
    expect(parseSurvey("")).toMatchObject({ os: "Linux", systemdVersion: null, addresses: [], becomesRoot: false });
    const answer = "holder\n0\t124\t\n10.0.0.100 dev host0 lladdr 52:54:00:aa:bb:cc REACHABLE\n";
    expect(parseSurvey(`${said}\n${answer}`)).toEqual({
      ...parseSurvey(said),
      holder: "a machine with the MAC address 52:54:00:aa:bb:cc",
    });
  });
});
