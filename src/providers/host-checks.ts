/**
 * What hosts must have before haplan changes anything on them: a table of checks over the facts of all hosts. Pure. Every
 * check is run, and reports each host that fails it.
 */
import type { Diagnostic, Severity } from "../base/diagnostic.ts";
import { groupBy } from "../base/group-by.ts";
import { dataDir } from "../base/host-paths.ts";
import { canonicalAddress } from "../base/ip-address.ts";
import type { DiskSpace, FoundUnit, HostFacts, ListeningPort } from "../host/host-facts.ts";
import { splitHostPort } from "../units/addresses.ts";
import { freeBytesMin } from "../units/data-disk.ts";
import { agentUnitName } from "../units/unit-definition.ts";
import { clockFindings, staleClockFindings } from "./clock-checks.ts";
import { type Finding, type HostsToCheck, type HostToCheck, labelOf, type MachineToCheck } from "./hosts-to-check.ts";
import { installAdvice, neededPrograms } from "./missing-programs.ts";
import { networkFindings, untriedFindings } from "./network-checks.ts";
import { operatorFileFindings, pathFindings } from "./path-checks.ts";
import { systemdName, unitPrefix } from "./unit-name.ts";
import { strayAddressFindings } from "./virtual-address-checks.ts";

type Check = {
  /** `hosts/<id>` is the code of its diagnostics. */
  readonly id: string;
  readonly severity: Severity;
  readonly find: (input: HostsToCheck) => readonly Finding[];
};

/** Programs whose presence the checks need to know. */
export const requiredTools: readonly string[] = ["tar", "gzip", "sha256sum", "flock", "systemctl"];

const toolAdvice = "Install the packages that contain them on that host.";

const mebibyte = 2 ** 20;
/** That a member, a load balancer and the runtime of Node.js need at least, and what leaves room for data. */
const memoryBytes = { least: 256 * mebibyte, enough: 1024 * mebibyte };
const programsBytes = 512 * mebibyte;
/** etcd's default quota of 2 GiB, a snapshot of it, and the log. */
const dataBytes = 4096 * mebibyte;
/** Node.js 24 is built for it. */
const glibcLeast = [2, 28] as const;
/** The first with the system call groups that the units' sandbox names. */
const systemdLeast = 239;
const writeMsMax = 10;

export const hostChecks: readonly Check[] = [
  {
    id: "become",
    severity: "error",
    find: onEachHost(({ notRoot }) =>
      notRoot === null
        ? null
        : {
            summary: "cannot become root",
            detail: `haplan needs sudo without a password there, or to log in as root. The host said: ${notRoot}`,
          },
    ),
  },
  {
    id: "system",
    severity: "error",
    find: onEachHost((_, { system }) =>
      system === "Linux" ? null : { summary: `runs ${system || "an unknown system"}`, detail: "haplan runs on Linux." },
    ),
  },
  {
    id: "architecture",
    severity: "error",
    find: onEachHost((_, { system, architecture }) =>
      system !== "Linux" || ["x86_64", "aarch64"].includes(architecture)
        ? null
        : { summary: `is a machine of ${architecture}`, detail: "haplan runs on x86_64 and aarch64." },
    ),
  },
  {
    id: "libc",
    severity: "error",
    find: onEachHost((_, { system, glibc, os }) =>
      system !== "Linux" || isAtLeast(glibc, glibcLeast)
        ? null
        : {
            summary: glibc === null ? `has no glibc${os === null ? "" : ` (${os})`}` : `has glibc ${glibc}`,
            detail: `The runtime of Node.js that haplan installs needs glibc ${glibcLeast.join(".")} or newer.`,
          },
    ),
  },
  {
    id: "systemd",
    severity: "error",
    find: onEachHost((_, { systemdVersion, isSystemdRunning }) => {
      if (!isSystemdRunning)
        return { summary: "does not run systemd", detail: "haplan starts its programs as systemd units." };
      if (systemdVersion === null || systemdVersion >= systemdLeast) return null;
      const detail = `The sandbox of haplan's units needs systemd ${systemdLeast} or newer.`;
      return { summary: `runs systemd ${systemdVersion}`, detail };
    }),
  },
  {
    id: "programs",
    severity: "error",
    find: onEachHost(({ machines }, { programs }) => {
      const missing = [...requiredTools, ...systemPrograms(machines)].filter((name) => !programs.includes(name));
      if (missing.length === 0) return null;
      const advice = missing.map((name) => (requiredTools.includes(name) ? toolAdvice : installAdvice(name)));
      return { summary: `has no ${missing.join(", ")}`, detail: [...new Set(advice)].join("\n") };
    }),
  },
  {
    id: "unit",
    severity: "error",
    find: ({ cluster, hosts }) => hosts.flatMap((host) => takenUnits(cluster, host)),
  },
  { id: "path", severity: "error", find: pathFindings },
  { id: "backup-key", severity: "warning", find: operatorFileFindings },
  {
    id: "memory",
    severity: "error",
    find: onEachHost((_, { memoryBytes: found }) =>
      found === null || found >= memoryBytes.least
        ? null
        : { summary: `has ${inUnits(found)} of memory`, detail: `haplan needs ${inUnits(memoryBytes.least)}.` },
    ),
  },
  {
    id: "little-memory",
    severity: "warning",
    find: onEachHost(({ machines }, { memoryBytes: found }) =>
      found === null || found < memoryBytes.least || found >= memoryBytes.enough || !machines.some(isMaster)
        ? null
        : {
            summary: `has ${inUnits(found)} of memory`,
            detail: `A master with ${inUnits(memoryBytes.enough)} or more keeps its data in memory while it grows.`,
          },
    ),
  },
  {
    id: "space",
    severity: "error",
    find: (input) => [...onEachHost(lackOfSpace)(input), ...onEachHost(lackOfProgramSpace)(input)],
  },
  {
    id: "little-space",
    severity: "warning",
    find: onEachHost(({ machines }, { dataDisk, replacedBytes }) => {
      if (dataDisk === null || !machines.some(isMaster)) return null;
      const freeBytes = dataDisk.freeBytes + replacedBytes;
      if (freeBytes < neededBytes(machines) || freeBytes >= dataBytes) return null;
      return {
        summary: `has ${inUnits(freeBytes)} free at ${dataDisk.mountPoint}, where its data will be`,
        detail: `A member that reaches its default quota of 2 GiB needs ${inUnits(dataBytes)}: the store, a snapshot of it, and the log.`,
      };
    }),
  },
  {
    id: "slow-disk",
    severity: "warning",
    find: slowDisks,
  },
  { id: "clock-skew", severity: "warning", find: clockFindings },
  { id: "clock-behind", severity: "error", find: staleClockFindings },
  { id: "machine-id", severity: "error", find: sharedIds },
  {
    id: "address",
    severity: "error",
    find: (input) =>
      input.hosts.flatMap((host) =>
        host.machines.flatMap(({ name, address }) => {
          if (host.facts === null || address === null || !isAddress(address) || hasAddress(host.facts, address))
            return [];
          const found = host.facts.addresses.filter((each) => !/^(127\.|::1$|fe80:)/.test(each)).join(", ");
          const detail = `Processes there cannot listen on it. The host has: ${found || "no address"}. Correct the address of ${name} in the spec; ssh.host is for another way to reach the host.`;
          return [{ summary: `${labelOf(host)} does not have the address ${address}`, detail }];
        }),
      ),
  },
  {
    id: "port",
    severity: "error",
    find: (input) => input.hosts.flatMap((host) => takenPorts(input.cluster, host)),
  },
  {
    id: "virtual-address",
    severity: "error",
    find: ({ takenAddress: taken }) =>
      taken === undefined
        ? []
        : [
            {
              summary: `The virtual address ${taken.address} is in use by ${taken.holder}`,
              detail: `${taken.beside === undefined ? "" : `${taken.beside} has it as well, and clients reach one or the other. `}Only load balancers may have it. Remove it from that machine, or write another address as loadBalancer.vip.`,
            },
          ],
  },
  {
    id: "virtual-address-not-checked",
    severity: "warning",
    find: ({ untoldAddress: untold }) =>
      untold === undefined
        ? []
        : [
            {
              summary: `Whether another machine has the virtual address ${untold.address} could not be checked`,
              detail: untold.reason,
            },
          ],
  },
  { id: "virtual-address-network", severity: "error", find: strayAddressFindings },
  { id: "network", severity: "error", find: ({ paths }) => networkFindings(paths, "error") },
  { id: "network", severity: "warning", find: ({ paths }) => networkFindings(paths, "warning") },
  { id: "network-not-checked", severity: "warning", find: ({ paths }) => untriedFindings(paths) },
];

/** All findings of these checks, errors first. */
export function checkHosts(input: HostsToCheck, checks: readonly Check[] = hostChecks): readonly Diagnostic[] {
  const found = checks.flatMap(({ id, severity, find }) =>
    find(input).map((finding): Diagnostic => ({ severity, code: `hosts/${id}`, ...finding })),
  );
  return [
    ...found.filter(({ severity }) => severity === "error"),
    ...found.filter((each) => each.severity !== "error"),
  ];
}

/** The 99th percentile, by the nearest rank; null if nothing was measured. */
export function writePercentileMs(writeMs: readonly number[]): number | null {
  const sorted = writeMs.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? null;
}

/** Whether the host has this IP address; each host has 127.0.0.0/8. */
export function hasAddress({ addresses }: HostFacts, address: string): boolean {
  return address.startsWith("127.") || addresses.includes(canonicalAddress(address));
}

/** What listens on this port of this address, or keeps others from doing so. */
export function listenerOn({ listening }: HostFacts, listen: string): ListeningPort | null {
  const { address, port } = splitHostPort(listen);
  const wanted = address === "0.0.0.0" || address === "::" ? null : canonicalAddress(address);
  const found = listening.find(
    (each) => each.port === port && (each.address === null || wanted === null || each.address === wanted),
  );
  return found ?? null;
}

/** Whether a unit of this cluster listens there. */
export function isOwn(cluster: string, { process }: ListeningPort, { units }: Pick<HostFacts, "units">): boolean {
  const found = units.find(({ name }) => name === process?.unit);
  // Its file may be gone while its process runs.
  if (found === undefined) return process?.unit?.startsWith(`${unitPrefix}${cluster}-`) === true;
  return isOfCluster(cluster, found);
}

function isOfCluster(cluster: string, { directory }: FoundUnit): boolean {
  return directory.startsWith(`${dataDir}/${cluster}/`);
}

/** Units whose names another cluster's have: machine `x-m1` of cluster `a` and machine `m1` of cluster `a-x`. */
function takenUnits(cluster: string, host: HostToCheck): readonly Finding[] {
  const { facts, machines } = host;
  if (facts === null) return [];
  return machines.flatMap(({ name: machine, units }) =>
    units.flatMap(({ name: unit }): Finding[] => {
      const name = systemdName({ root: `${dataDir}/${cluster}`, machine, unit });
      const found = facts.units.find((each) => each.name === name);
      if (found === undefined || isOfCluster(cluster, found)) return [];
      const summary = `${name}.service on ${labelOf(host)} belongs to another cluster (${found.directory})`;
      return [{ summary, detail: "Give the machine or the cluster another name in the spec." }];
    }),
  );
}

/** For checks that look at one host at a time. Without facts nothing is known but why there are none. */
function onEachHost(find: (host: HostToCheck, facts: HostFacts) => Finding | null): Check["find"] {
  return ({ hosts }) =>
    hosts.flatMap((host) => {
      const found = host.facts === null ? null : find(host, host.facts);
      return found === null ? [] : [{ summary: `${labelOf(host)} ${found.summary}`, detail: found.detail }];
    });
}

function isMaster({ units }: MachineToCheck): boolean {
  return units.some(({ name }) => name === agentUnitName);
}

/** One finding for all masters, the slowest first. */
function slowDisks({ hosts }: HostsToCheck): readonly Finding[] {
  const slow = hosts
    .flatMap((host) => {
      const { facts, machines } = host;
      const ms = facts === null || !machines.some(isMaster) ? null : writePercentileMs(facts.writeMs);
      if (facts === null || ms === null || ms <= writeMsMax) return [];
      const place = facts.dataDisk?.mountPoint ?? "the data directory";
      return [{ label: labelOf(host), ms, measured: `${facts.writeMs.length} writes at ${place}` }];
    })
    .sort((a, b) => b.ms - a.ms);
  const [slowest] = slow;
  if (slowest === undefined) return [];
  const cost = `Each write of the cluster waits for the disks of a majority. etcd recommends less than ${writeMsMax} ms, such as an SSD has; slower disks lead to elections under load.`;
  const value = ({ ms }: { readonly ms: number }): string => `${ms.toFixed(0)} ms`;
  const until = "at the 99th percentile until 2 KiB are on disk";
  if (slow.length === 1)
    return [
      {
        summary: `${slowest.label} writes slowly: ${value(slowest)} ${until}`,
        detail: `${cost} Measured with ${slowest.measured}.`,
      },
    ];
  const lines = slow.map((each) => `  ${each.label}: ${value(each)}, ${each.measured}`);
  return [
    {
      summary: `${slow.length} masters write slowly: up to ${value(slowest)} ${until}`,
      detail: [`${cost} Measured with:`, ...lines].join("\n"),
    },
  ];
}

function systemPrograms(machines: readonly MachineToCheck[]): readonly string[] {
  return [...new Set(machines.flatMap(({ units, installs = [] }) => neededPrograms(units, installs)))];
}

function isAtLeast(version: string | null, [major, minor]: readonly [number, number]): boolean {
  const [first = 0, second = 0] = (version ?? "").split(".").map(Number);
  return first > major || (first === major && second >= minor);
}

function neededBytes(machines: readonly MachineToCheck[]): number {
  return machines.reduce((sum, machine) => sum + Math.max(machine.bytes, isMaster(machine) ? freeBytesMin : 0), 0);
}

function lackOfSpace({ machines }: HostToCheck, { dataDisk, replacedBytes }: HostFacts): Finding | null {
  const needed = neededBytes(machines);
  if (dataDisk === null || dataDisk.freeBytes + replacedBytes >= needed) return null;
  const finding = tooSmall(dataDisk, needed, "Its data");
  if (replacedBytes === 0) return finding;
  return {
    ...finding,
    summary: `${finding.summary}, and ${inUnits(replacedBytes)} more once the machine that it replaces is removed`,
  };
}

function lackOfProgramSpace(_: HostToCheck, { programsDisk, isInstalled }: HostFacts): Finding | null {
  if (programsDisk === null || isInstalled || programsDisk.freeBytes >= programsBytes) return null;
  return tooSmall(programsDisk, programsBytes, "haplan's programs, below /opt,");
}

function tooSmall({ mountPoint, freeBytes }: DiskSpace, needed: number, what: string): Finding {
  return {
    summary: `has ${inUnits(freeBytes)} free at ${mountPoint}`,
    detail: `${what} need ${inUnits(needed)}. Free some space there, or mount a larger disk.`,
  };
}

/** Copies of one host have the same machine-id, and one host that is reached in two ways has the same boot id as well. */
function sharedIds({ hosts }: HostsToCheck): readonly Finding[] {
  const known = hosts.filter(({ facts }) => facts !== null && facts.machineId !== null);
  const groups = groupBy(known, ({ facts }) => facts?.machineId ?? "");
  return [...groups.values()].flatMap((group): Finding[] => {
    if (group.length === 1) return [];
    const names = group.map(labelOf).join(" and ");
    const boots = new Set(group.map(({ facts }) => facts?.bootId));
    if (boots.size < group.length) {
      const masters = group.flatMap(({ machines }) => machines.filter(isMaster));
      const detail = "Masters on one host fail together. Give each of them a host of its own.";
      return masters.length < 2 ? [] : [{ summary: `${names} are one host`, detail }];
    }
    const detail = `It is ${group[0]?.facts?.machineId}, as on copies of one disk. Make a new one on all but one of them, and reboot: rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup`;
    return [{ summary: `${names} have the same machine-id`, detail }];
  });
}

function takenPorts(cluster: string, host: HostToCheck): readonly Finding[] {
  const { facts, machines, notRoot } = host;
  // Only root sees which process it is: it may be one of this cluster.
  if (facts === null || notRoot !== null) return [];
  const seen = new Map<string, string>();
  return machines
    .flatMap(({ name: machine, units }) =>
      units.flatMap(({ name, listens }) => listens.map((listen) => ({ listen, unit: `${machine}/${name}` }))),
    )
    .flatMap(({ listen, unit }): Finding[] => {
      const other = seen.get(listen);
      // A plan may start a unit more than once.
      if (other === unit) return [];
      if (other !== undefined) {
        const detail = "Give one of them another address or port in the spec.";
        return [{ summary: `Two units on ${labelOf(host)} would listen on ${listen}`, detail }];
      }
      seen.set(listen, unit);
      const listener = listenerOn(facts, listen);
      if (listener === null || isOwn(cluster, listener, facts)) return [];
      const detail = "Stop that process, or choose another address or port in the spec.";
      return [{ summary: `${listen} on ${labelOf(host)} is in use by ${describe(listener)}`, detail }];
    });
}

function describe({ process }: ListeningPort): string {
  if (process === null) return "an unknown process";
  const unit = process.unit === null ? "" : `, ${process.unit}.service`;
  return `${process.name} (pid ${process.pid}${unit})`;
}

const isAddress = (text: string): boolean => text.includes(":") || /^\d+(\.\d+){3}$/.test(text);

function inUnits(bytes: number): string {
  const mebibytes = bytes / mebibyte;
  return mebibytes >= 10 * 1024 ? `${Math.floor(mebibytes / 1024)} GiB` : `${Math.floor(mebibytes)} MiB`;
}
