import { describe, expect, it } from "vitest";
import type { HostFacts, ListeningPort } from "../host/host-facts.ts";
import { agentUnitName, type UnitDefinition } from "../units/unit-definition.ts";
import { checkHosts, hostChecks, requiredTools, writePercentileMs } from "./host-checks.ts";
import type { HostsToCheck, HostToCheck, TriedPath } from "./hosts-to-check.ts";
import { networkFindings } from "./network-checks.ts";

const gibibyte = 2 ** 30;

const healthy: HostFacts = {
  system: "Linux",
  kernel: "6.1.0",
  hostname: "h",
  os: "Debian GNU/Linux 12 (bookworm)",
  architecture: "x86_64",
  glibc: "2.36",
  systemdVersion: 252,
  isSystemdRunning: true,
  cgroupVersion: 2,
  memoryBytes: 8 * gibibyte,
  machineId: "a1",
  bootId: "b1",
  isRoot: true,
  programs: requiredTools,
  dataDisk: { mountPoint: "/var", freeBytes: 50 * gibibyte },
  programsDisk: { mountPoint: "/", freeBytes: 50 * gibibyte },
  isInstalled: false,
  replacedBytes: 0,
  unitUserId: null,
  paths: [],
  addresses: ["127.0.0.1", "10.0.0.1"],
  networks: ["127.0.0.1/8", "10.0.0.1/24"],
  macs: [],
  units: [],
  listening: [],
  virtualAddresses: [],
  writeMs: Array<number>(100).fill(1),
};

function agent(listens: readonly string[]): UnitDefinition {
  const program = { kind: "haplan", command: "haplan-agent" } as const;
  return { name: agentUnitName, program, arguments: [], environment: {}, files: [], listens };
}

/** The host of master `number`. */
function host(number: number, facts: Partial<HostFacts> = {}, more: Partial<HostToCheck> = {}): HostToCheck {
  const address = `10.0.0.${number}`;
  const units = [agent([`${address}:2379`, `${address}:2380`])];
  const machines = [{ name: `m${number}`, address, units, bytes: 128 * 2 ** 20 }];
  const own = { machineId: `a${number}`, bootId: `b${number}`, addresses: ["127.0.0.1", address] };
  const clock = { offsetMs: 0, uncertaintyMs: 1 };
  return { host: address, machines, facts: { ...healthy, ...own, ...facts }, notRoot: null, clock, ...more };
}

function found(hosts: readonly HostToCheck[], more: Partial<HostsToCheck> = {}): readonly string[] {
  const input = { cluster: "demo", certificateAgeMs: 3_600_000, hosts, paths: [], ...more };
  return checkHosts(input).map(({ severity, code, summary }) => `${severity} ${code}: ${summary}`);
}

const port = (address: string | null, number: number, process: ListeningPort["process"]): Partial<HostFacts> => ({
  listening: [{ address, port: number, process }],
});

const haproxy = host(1, {}, {});
const withHaproxy: HostToCheck = {
  ...haproxy,
  machines: [
    {
      ...haproxy.machines[0]!,
      units: [{ ...agent([]), name: "load-balancer", program: { kind: "system", command: "haproxy" } }],
    },
  ],
};

/** What is wrong with the first host, and what is said of it. */
const violations: readonly (readonly [string, HostToCheck, string])[] = [
  [
    "sudo asks for a password",
    host(1, { isRoot: false }, { notRoot: "sudo: a password is required" }),
    "error hosts/become: m1 (10.0.0.1) cannot become root",
  ],
  ["another system", host(1, { system: "FreeBSD" }), "error hosts/system: m1 (10.0.0.1) runs FreeBSD"],
  [
    "another architecture",
    host(1, { architecture: "riscv64" }),
    "error hosts/architecture: m1 (10.0.0.1) is a machine of riscv64",
  ],
  [
    "musl",
    host(1, { glibc: null, os: "Alpine Linux v3.20" }),
    "error hosts/libc: m1 (10.0.0.1) has no glibc (Alpine Linux v3.20)",
  ],
  ["an old glibc", host(1, { glibc: "2.17" }), "error hosts/libc: m1 (10.0.0.1) has glibc 2.17"],
  ["another init", host(1, { isSystemdRunning: false }), "error hosts/systemd: m1 (10.0.0.1) does not run systemd"],
  ["an old systemd", host(1, { systemdVersion: 219 }), "error hosts/systemd: m1 (10.0.0.1) runs systemd 219"],
  [
    "missing tools",
    host(1, { programs: ["gzip", "sha256sum", "systemctl"] }),
    "error hosts/programs: m1 (10.0.0.1) has no tar, flock",
  ],
  ["a missing program of a unit", withHaproxy, "error hosts/programs: m1 (10.0.0.1) has no haproxy"],
  [
    "too little memory",
    host(1, { memoryBytes: 200 * 2 ** 20 }),
    "error hosts/memory: m1 (10.0.0.1) has 200 MiB of memory",
  ],
  [
    "little memory",
    host(1, { memoryBytes: 700 * 2 ** 20 }),
    "warning hosts/little-memory: m1 (10.0.0.1) has 700 MiB of memory",
  ],
  [
    "a full disk of its data",
    host(1, { dataDisk: { mountPoint: "/var", freeBytes: 100 * 2 ** 20 } }),
    "error hosts/space: m1 (10.0.0.1) has 100 MiB free at /var",
  ],
  [
    "a full disk of a member that has its data there already",
    {
      ...host(1, { dataDisk: { mountPoint: "/var", freeBytes: 0 } }),
      machines: [{ ...host(1).machines[0]!, bytes: 0 }],
    },
    "error hosts/space: m1 (10.0.0.1) has 0 MiB free at /var",
  ],
  [
    "a full disk that has too little space also without the member that is replaced",
    host(1, { dataDisk: { mountPoint: "/var", freeBytes: 231 * 2 ** 20 }, replacedBytes: 20 * 2 ** 20 }),
    "error hosts/space: m1 (10.0.0.1) has 231 MiB free at /var, and 20 MiB more once the machine that it replaces is removed",
  ],
  [
    "a full disk of its programs",
    host(1, { programsDisk: { mountPoint: "/", freeBytes: 100 * 2 ** 20 } }),
    "error hosts/space: m1 (10.0.0.1) has 100 MiB free at /",
  ],
  [
    "a disk with little space",
    host(1, { dataDisk: { mountPoint: "/var", freeBytes: 2 * gibibyte } }),
    "warning hosts/little-space: m1 (10.0.0.1) has 2048 MiB free at /var, where its data will be",
  ],
  [
    "a slow disk",
    host(1, { writeMs: [...Array<number>(98).fill(1), 25, 30] }),
    "warning hosts/slow-disk: m1 (10.0.0.1) writes slowly: 25 ms at the 99th percentile until 2 KiB are on disk",
  ],
  [
    "another address",
    host(1, { addresses: ["127.0.0.1", "10.0.0.9"] }),
    "error hosts/address: m1 (10.0.0.1) does not have the address 10.0.0.1",
  ],
  [
    "a port in use at its address",
    host(1, port("10.0.0.1", 2379, { pid: 812, name: "etcd", unit: "etcd" })),
    "error hosts/port: 10.0.0.1:2379 on m1 (10.0.0.1) is in use by etcd (pid 812, etcd.service)",
  ],
  [
    "a port in use at all addresses",
    host(1, port(null, 2380, { pid: 9, name: "nc", unit: null })),
    "error hosts/port: 10.0.0.1:2380 on m1 (10.0.0.1) is in use by nc (pid 9)",
  ],
  [
    "a port in use by an unknown process",
    host(1, port(null, 2380, null)),
    "error hosts/port: 10.0.0.1:2380 on m1 (10.0.0.1) is in use by an unknown process",
  ],
  [
    "a port in use by a cluster whose name begins with this one's",
    host(1, {
      ...port("10.0.0.1", 2379, { pid: 9, name: "node", unit: "haplan-demo-x-m1-agent" }),
      units: [{ name: "haplan-demo-x-m1-agent", directory: "/var/lib/haplan/demo-x/machines/m1/units/agent" }],
    }),
    "error hosts/port: 10.0.0.1:2379 on m1 (10.0.0.1) is in use by node (pid 9, haplan-demo-x-m1-agent.service)",
  ],
  [
    "another cluster's unit of the same name",
    host(1, { units: [{ name: "haplan-demo-m1-agent", directory: "/var/lib/haplan/dem/machines/o-m1/units/agent" }] }),
    "error hosts/unit: haplan-demo-m1-agent.service on m1 (10.0.0.1) belongs to another cluster (/var/lib/haplan/dem/machines/o-m1/units/agent)",
  ],
  [
    "a clock that is behind the certificates",
    host(1, {}, { clock: { offsetMs: -7_199_996, uncertaintyMs: 5 } }),
    "error hosts/clock-behind: The clock of m1 (10.0.0.1) is 2 h behind the clock of this machine",
  ],
];

describe("checks of hosts", () => {
  it("find nothing on healthy hosts", () => {
    expect(found([host(1), host(2), host(3)])).toEqual([]);
  });

  it.each(violations)("find %s, and nothing else", (_, violating, expected) => {
    expect(found([violating])).toEqual([expected]);
  });

  it("report all hosts at once, errors first", () => {
    const hosts = [
      host(1, { memoryBytes: 700 * 2 ** 20 }),
      host(2, { systemdVersion: 219 }),
      host(3, { glibc: "2.17" }),
    ];
    expect(found(hosts).map((line) => line.split(":")[0])).toEqual([
      "error hosts/libc",
      "error hosts/systemd",
      "warning hosts/little-memory",
    ]);
  });

  it("name all slow disks in one warning, the slowest first", () => {
    const writing = (ms: number): Partial<HostFacts> => ({ writeMs: Array<number>(100).fill(ms) });
    const hosts = [host(1, writing(12)), host(2), host(3, writing(40))];
    const input = { cluster: "demo", certificateAgeMs: 3_600_000, hosts, paths: [] };
    const [warning, ...others] = checkHosts(input);
    expect(others).toEqual([]);
    expect(warning).toMatchObject({
      code: "hosts/slow-disk",
      summary: "2 masters write slowly: up to 40 ms at the 99th percentile until 2 KiB are on disk",
      detail: expect.stringMatching(
        /\n {2}m3 \(10\.0\.0\.3\): 40 ms, 100 writes at \/var\n {2}m1 \(10\.0\.0\.1\): 12 ms, 100 writes at \/var$/,
      ),
    });
  });

  it("are silent about a host without facts", () => {
    expect(found([host(1, {}, { facts: null, clock: null })])).toEqual([]);
  });

  it.each([
    ["a unit of this cluster", port("10.0.0.1", 2379, { pid: 9, name: "node", unit: "haplan-demo-m1-agent" })],
    [
      "a unit of this cluster, as its file says",
      {
        ...port("10.0.0.1", 2379, { pid: 9, name: "node", unit: "haplan-demo-m1-agent" }),
        units: [{ name: "haplan-demo-m1-agent", directory: "/var/lib/haplan/demo/machines/m1/units/agent" }],
      },
    ],
    ["another address", port("10.0.0.9", 2379, { pid: 9, name: "nc", unit: null })],
    ["another port", port(null, 22, { pid: 9, name: "sshd", unit: "ssh" })],
  ])("leave a port alone that is in use by %s", (_, facts) => {
    expect(found([host(1, facts)])).toEqual([]);
  });

  it("find two units that would listen on one port", () => {
    const both = host(1);
    const machine = {
      ...both.machines[0]!,
      name: "load-balancer",
      units: [{ ...agent(["10.0.0.1:2379"]), name: "lb" }],
    };
    expect(found([{ ...both, machines: [...both.machines, machine] }])).toEqual([
      "error hosts/port: Two units on m1, load-balancer (10.0.0.1) would listen on 10.0.0.1:2379",
    ]);
  });

  it("leave alone a unit that a plan starts twice", () => {
    const once = host(1);
    const machines = once.machines.map((machine) => ({ ...machine, units: [...machine.units, ...machine.units] }));
    expect(found([{ ...once, machines }])).toEqual([]);
  });

  it("tell copies of one host from one host that is reached in two ways", () => {
    expect(found([host(1), host(2, { machineId: "a1" })])).toEqual([
      "error hosts/machine-id: m1 (10.0.0.1) and m2 (10.0.0.2) have the same machine-id",
    ]);
    const same = { machineId: "a1", bootId: "b1" };
    expect(found([host(1), host(2, same)])).toEqual([
      "error hosts/machine-id: m1 (10.0.0.1) and m2 (10.0.0.2) are one host",
    ]);
    const balancer = host(2, same);
    const machines = balancer.machines.map((machine) => ({ ...machine, units: [] }));
    expect(found([host(1), { ...balancer, machines }])).toEqual([]);
  });

  it.each([
    ["differ by more than half a second", 700, 5, ["warning hosts/clock-skew"]],
    ["differ by less than the readings may be wrong", 700, 150, []],
    ["are all as wrong", 0, 5, []],
  ])("say when clocks %s", (_, apartMs, uncertaintyMs, expected) => {
    const at = (offsetMs: number): Partial<HostToCheck> => ({ clock: { offsetMs, uncertaintyMs } });
    const lines = found([host(1, {}, at(90_000)), host(2, {}, at(90_000 + apartMs))]);
    expect(lines.map((line) => line.split(":")[0])).toEqual(expected);
  });

  it("let a clock be behind whose certificates are old enough", () => {
    const behind = host(1, {}, { clock: { offsetMs: -7_200_000, uncertaintyMs: 5 } });
    expect(found([behind], { certificateAgeMs: null })).toEqual([]);
  });

  it("accept an IPv6 address in any spelling", () => {
    const machine = { ...host(1).machines[0]!, address: "FD97:0::B" };
    expect(found([{ ...host(1, { addresses: ["fd97::b"] }), machines: [machine] }])).toEqual([]);
  });

  it("find a virtual address that another machine has", () => {
    const takenAddress = { address: "10.0.0.100", holder: "a machine with the MAC address 52:54:00:aa:bb:cc" };
    expect(found([host(1)], { takenAddress })).toEqual([
      "error hosts/virtual-address: The virtual address 10.0.0.100 is in use by a machine with the MAC address 52:54:00:aa:bb:cc",
    ]);
  });

  it.each<[string, string, readonly string[], boolean]>([
    ["10.0.0.100", "in the host's network", ["127.0.0.1/8", "10.0.0.1/24"], true],
    ["10.0.1.100", "beside it", ["127.0.0.1/8", "10.0.0.1/24"], false],
    ["10.0.1.100", "in one of several", ["10.0.0.1/24", "10.0.1.7/25"], true],
    ["fd00::100", "of another family", ["10.0.0.1/24"], false],
    ["fd00::100", "in one of IPv6", ["10.0.0.1/24", "fd00::1/64", "fe80::1/64"], true],
    ["10.0.1.100", "while the host's network is routed to it alone", ["127.0.0.1/8", "10.0.0.1/32"], true],
    ["10.0.1.100", "while nothing is known of its networks", [], true],
  ])("a virtual address has to be in a network of its hosts: %s is %s", (address, _, networks, fits) => {
    const virtualAddress = { address, port: 2379, machines: ["m1"] };
    const summary = `error hosts/virtual-address-network: The virtual address ${address} is in no network of m1 (10.0.0.1)`;
    expect(found([host(1, { networks })], { virtualAddress })).toEqual(fits ? [] : [summary]);
    // It is not for that host.
    expect(found([host(2, { networks })], { virtualAddress })).toEqual([]);
  });

  it("name every check once for each severity", () => {
    const names = hostChecks.map(({ id, severity }) => `${id} ${severity}`);
    expect(new Set(names).size).toBe(names.length);
  });
});

const path = (more: Partial<TriedPath>): TriedPath => ({
  from: "m1",
  to: "m2",
  address: "10.0.0.2",
  port: 2380,
  severity: "error",
  outcome: "noAnswer",
  ...more,
});

describe("tried connections", () => {
  it.each<[string, readonly TriedPath[], readonly string[]]>([
    ["that are possible are no finding", [path({ outcome: "connected" })], []],
    [
      "to one port are one finding",
      [path({}), path({ from: "m3" }), path({ from: null })],
      ["error hosts/network: m2 cannot be reached at 10.0.0.2:2380 from m1, m3 and this machine: no answer within 3 s"],
    ],
    [
      "with different outcomes are findings of their own",
      [path({}), path({ from: "m3", outcome: "refused" })],
      [
        "error hosts/network: m2 cannot be reached at 10.0.0.2:2380 from m1: no answer within 3 s",
        "error hosts/network: m2 cannot be reached at 10.0.0.2:2380 from m3: the connection is refused",
      ],
    ],
    [
      "that the cluster can do without are warnings",
      [path({ severity: "warning", address: "fd97::b", outcome: "rejected" })],
      ["warning hosts/network: m2 cannot be reached at [fd97::b]:2380 from m1: the network rejects the connection"],
    ],
    [
      "whose name does not resolve are errors",
      [path({ address: "m2.example.com", outcome: "unknownName" })],
      ["error hosts/network: m2 cannot be reached at m2.example.com:2380 from m1: the name does not resolve"],
    ],
    [
      "that were not tried are one warning",
      [path({ outcome: "untried" }), path({ from: "m3", outcome: "untried" })],
      ["warning hosts/network-not-checked: 2 connections were not tried"],
    ],
  ])("%s", (_, paths, expected) => {
    expect(found([], { paths })).toEqual(expected);
  });

  it("name the hosts that have no address of the family", () => {
    const given = { address: "fd97::b", outcome: "rejected", lacksFamily: true } as const;
    const [told] = networkFindings(
      [path(given), path({ ...given, from: "m3" }), path({ ...given, from: "m4", lacksFamily: false })],
      "error",
    );
    expect(told?.detail).toMatch(/^m1 and m3 have no IPv6 address\. If m2 has/);
  });
});

it.each<[readonly number[], number | null]>([
  [[], null],
  [[7], 7],
  [[...Array<number>(98).fill(1), 25, 30], 25],
])("the 99th percentile of writes is the nearest rank", (writeMs, expected) => {
  expect(writePercentileMs(writeMs)).toBe(expected);
});
