/** Reads what `factsScript` printed. Pure. */

import { canonicalAddress } from "../base/ip-address.ts";
import type { DiskSpace, HostFacts, HostPath, ListeningPort, ListeningProcess } from "./host-facts.ts";
import { decodeSocketAddress } from "./socket-address.ts";

type Lines = ReadonlyMap<string, readonly (readonly string[])[]>;

export function parseFacts(output: string): HostFacts {
  const lines = linesOf(output);
  const first = (name: string): readonly string[] => lines.get(name)?.[0] ?? [];
  const text = (name: string): string | null => first(name)[0] || null;
  const [system = "", kernel = "", architecture = "", hostname = ""] = first("system");
  const memory = number(text("memory"));
  return {
    system,
    kernel,
    architecture,
    hostname,
    os: text("os"),
    glibc: text("glibc"),
    systemdVersion: number(text("systemd")),
    isSystemdRunning: text("booted") === "systemd",
    cgroupVersion: cgroupVersion(text("cgroup")),
    memoryBytes: memory === null ? null : memory * 1024,
    machineId: text("machine-id"),
    bootId: text("boot-id"),
    isRoot: text("user") === "0",
    programs: all(lines, "program"),
    dataDisk: disk(first("data-disk")),
    programsDisk: disk(first("programs-disk")),
    isInstalled: text("installed") === "yes",
    replacedBytes: all(lines, "replaced").reduce((sum, each) => sum + (number(each) ?? 0) * 1024, 0),
    unitUserId: number(text("unit-user")),
    paths: (lines.get("path") ?? []).map(hostPath),
    addresses: [...new Set(all(lines, "address").map(canonicalAddress))],
    networks: [...new Set(all(lines, "network"))],
    macs: [...new Set(all(lines, "mac"))],
    units: (lines.get("unit") ?? []).map(([name = "", directory = ""]) => ({ name, directory })),
    listening: listeningPorts(lines),
    virtualAddresses: (lines.get("virtual-address") ?? []).map(([address = "", ...file]) => ({
      address: canonicalAddress(address),
      file: file.join("\t"),
    })),
    writeMs: all(lines, "write").flatMap((each) => {
      const seconds = number(each);
      return seconds === null ? [] : [seconds * 1000];
    }),
  };
}

function linesOf(output: string): Lines {
  const lines = new Map<string, (readonly string[])[]>();
  for (const line of output.split("\n")) {
    const [name = "", ...values] = line.split("\t");
    if (values.length > 0) lines.set(name, [...(lines.get(name) ?? []), values]);
  }
  return lines;
}

function all(lines: Lines, name: string): readonly string[] {
  return (lines.get(name) ?? []).map(([value = ""]) => value);
}

function number(text: string | null): number | null {
  const value = Number(text);
  return text === null || text === "" || Number.isNaN(value) ? null : value;
}

function cgroupVersion(fileSystem: string | null): 1 | 2 | null {
  if (fileSystem === null) return null;
  return fileSystem.startsWith("cgroup2") ? 2 : 1;
}

/** The kibibytes that are free, and the mount point, which may have blanks. */
function disk([free = "", ...mountPoint]: readonly string[]): DiskSpace | null {
  const kibibytes = number(free);
  return kibibytes === null ? null : { freeBytes: kibibytes * 1024, mountPoint: mountPoint.join(" ") };
}

function hostPath([path = "", kind = "", resolved = "", ...more]: readonly string[]): HostPath {
  const [owner = "", ownerName = "", writable = "", rights = ""] = more;
  return {
    path,
    kind: kind === "directory" || kind === "missing" ? kind : "file",
    resolved,
    ownerId: number(owner),
    ownerName: ownerName === "" || ownerName === "UNKNOWN" ? null : ownerName,
    isWritable: writable === "yes",
    rights: rights === "unknown" ? null : rights,
  };
}

/** A socket that several processes share belongs to the first one that is a unit's. */
function listeningPorts(lines: Lines): readonly ListeningPort[] {
  const owners = new Map<string, ListeningProcess>();
  for (const [inode = "", pid = "", name = "", unit = ""] of lines.get("owner") ?? []) {
    if (owners.get(inode)?.unit) continue;
    const known = owners.get(inode);
    if (known === undefined || unit !== "") owners.set(inode, { pid: Number(pid), name, unit: unit || null });
  }
  return (lines.get("listening") ?? []).map(([local = "", inode = ""]) => {
    const [address = "", port = ""] = local.split(":");
    return {
      address: decodeSocketAddress(address),
      port: Number.parseInt(port, 16),
      process: owners.get(inode) ?? null,
    };
  });
}
