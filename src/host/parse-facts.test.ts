import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { arch, hostname, tmpdir, totalmem, userInfo } from "node:os";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { renderTemplate } from "../base/render-template.ts";
import { factsScript } from "./facts-script.ts";
import { parseFacts } from "./parse-facts.ts";

describe("the facts of a host", () => {
  it("are read from lines of names and values", () => {
    const lines = [
      ["system", "Linux", "6.1.0-18-amd64", "x86_64", "m1"],
      ["user", "0"],
      ["os", "Debian GNU/Linux 12 (bookworm)"],
      ["glibc", "2.36"],
      ["systemd", "252"],
      ["booted", "systemd"],
      ["cgroup", "cgroup2fs"],
      ["memory", "4030428"],
      ["machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4"],
      ["boot-id", "33c5f5ef-e082-4a1d-9eeb-3d1f62211d01"],
      ["program", "tar"],
      ["program", "haproxy"],
      ["installed", "yes"],
      ["network", "127.0.0.1/8"],
      ["network", "fd97:6470:42::b/64"],
      ["mac", "52:54:00:aa:bb:cc"],
      ["mac", "52:54:00:aa:bb:cc"],
      ["address", "127.0.0.1"],
      ["address", "FD97:6470:0042:0000::b"],
      ["listening", "0100007F:1F90", "41"],
      ["listening", "00000000000000000000000000000000:0016", "42"],
      ["listening", "0000000000000000FFFF00000B42610A:094B", "43"],
      ["owner", "42", "1", "systemd", "init"],
      ["owner", "41", "7", "nginx", ""],
      ["owner", "41", "8", "nginx", "nginx"],
      ["programs-disk", "1024", "/"],
      ["data-disk", "2048", "/mnt/my", "disk"],
      ["replaced", "1024"],
      ["replaced", "8"],
      ["unit-user", "998"],
      ["path", "/srv/backups", "missing", "/srv", "0", "root", "yes", "rx"],
      ["path", "/opt/etcd", "file", "/root/my etcd", "1007", "UNKNOWN", "no", "unknown"],
      ["unit", "haplan-a-x-m1-agent", "/var/lib/haplan/a-x/machines/m1/units/agent"],
      ["virtual-address", "FD97:0::B", "/etc/keepalived/keepalived.conf"],
      ["write", "0.000457712"],
      ["write", "1.5e-3"],
    ];
    expect(parseFacts(lines.map((line) => line.join("\t")).join("\n"))).toEqual({
      system: "Linux",
      kernel: "6.1.0-18-amd64",
      architecture: "x86_64",
      hostname: "m1",
      os: "Debian GNU/Linux 12 (bookworm)",
      glibc: "2.36",
      systemdVersion: 252,
      isSystemdRunning: true,
      cgroupVersion: 2,
      memoryBytes: 4030428 * 1024,
      machineId: "3d1219c7c4c5404aaa1f6d2a48adfda4",
      bootId: "33c5f5ef-e082-4a1d-9eeb-3d1f62211d01",
      isRoot: true,
      programs: ["tar", "haproxy"],
      dataDisk: { mountPoint: "/mnt/my disk", freeBytes: 2048 * 1024 },
      programsDisk: { mountPoint: "/", freeBytes: 1024 * 1024 },
      isInstalled: true,
      replacedBytes: 1032 * 1024,
      unitUserId: 998,
      paths: [
        {
          path: "/srv/backups",
          kind: "missing",
          resolved: "/srv",
          ownerId: 0,
          ownerName: "root",
          isWritable: true,
          rights: "rx",
        },
        {
          path: "/opt/etcd",
          kind: "file",
          resolved: "/root/my etcd",
          ownerId: 1007,
          ownerName: null,
          isWritable: false,
          rights: null,
        },
      ],
      addresses: ["127.0.0.1", "fd97:6470:42::b"],
      networks: ["127.0.0.1/8", "fd97:6470:42::b/64"],
      macs: ["52:54:00:aa:bb:cc"],
      units: [{ name: "haplan-a-x-m1-agent", directory: "/var/lib/haplan/a-x/machines/m1/units/agent" }],
      listening: [
        { address: "127.0.0.1", port: 8080, process: { pid: 8, name: "nginx", unit: "nginx" } },
        { address: null, port: 22, process: { pid: 1, name: "systemd", unit: "init" } },
        { address: "10.97.66.11", port: 2379, process: null },
      ],
      virtualAddresses: [{ address: "fd97::b", file: "/etc/keepalived/keepalived.conf" }],
      writeMs: [0.457712, 1.5],
    });
  });

  it("that are missing are null or empty", () => {
    expect(parseFacts("")).toMatchObject({
      system: "",
      os: null,
      glibc: null,
      systemdVersion: null,
      isSystemdRunning: false,
      cgroupVersion: null,
      memoryBytes: null,
      machineId: null,
      isRoot: false,
      dataDisk: null,
      addresses: [],
      networks: [],
      units: [],
      listening: [],
      replacedBytes: 0,
      unitUserId: null,
      paths: [],
      writeMs: [],
    });
  });
});

describe.skipIf(!existsSync("/proc/net/tcp"))("the script that gathers facts (skipped without /proc)", () => {
  it.each(["sh", "bash"])("tells what this machine is, in %s, and leaves no file", async (shell) => {
    const directory = mkdtempSync(join(tmpdir(), "haplan-facts-"));
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      const script = factsScript({
        dataDirectory: join(directory, "it's", "not there"),
        programsDirectory: directory,
        programs: ["tar", "no-such-program"],
        paths: [],
        replaced: [],
      });
      const facts = parseFacts(execFileSync(shell, ["-c", script], { encoding: "utf8" }));
      expect(facts).toMatchObject({ system: "Linux", hostname: hostname(), programs: ["tar"], isInstalled: false });
      expect({ x86_64: "x64", aarch64: "arm64" }[facts.architecture]).toBe(arch());
      expect(Math.abs((facts.memoryBytes ?? 0) - totalmem())).toBeLessThan(2 ** 20);
      expect(facts.dataDisk?.freeBytes).toBeGreaterThan(0);
      expect(facts.writeMs.length).toBeGreaterThan(0);
      const listening = facts.listening.find((each) => each.port === port);
      expect(listening).toMatchObject({ address: "127.0.0.1", process: { pid: process.pid } });
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true });
    }
  });

  it.each(["sh", "bash"])("tells the addresses that the keepalived of each cluster has, in %s", (shell) => {
    const directory = mkdtempSync(join(tmpdir(), "haplan-facts-"));
    const write = (cluster: string, text: string): string => {
      const file = join(directory, cluster, "machines", "lb1", "units", "keepalived", "files", "keepalived.conf");
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      return file;
    };
    const values = { name: "x", prefixLength: 128, interface: "e", routerId: 7, priority: 254, source: "fd00::9" };
    const template = { ...values, address: "fd00::100", peers: ["fd00::10"] };
    try {
      const a = write("a", renderTemplate("keepalived/keepalived.conf.hbs", template));
      const b = write(
        "b",
        "virtual_ipaddress { 10.0.0.1 }\nunicast_peer { 10.0.0.3 }\nvirtual_ipaddress {\n # 10.0.0.4\n 10.0.0.2/24 dev e\n}\n",
      );
      const script = factsScript({
        dataDirectory: directory,
        programsDirectory: directory,
        programs: [],
        paths: [],
        replaced: [],
      });
      const facts = parseFacts(execFileSync(shell, ["-c", script], { encoding: "utf8" }));
      expect(facts.virtualAddresses.filter(({ file }) => file.startsWith(directory))).toEqual([
        { address: "fd00::100", file: a },
        { address: "10.0.0.1", file: b },
        { address: "10.0.0.2", file: b },
      ]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each(["sh", "bash"])("tells of paths what they are, and what the user of units may do there, in %s", (shell) => {
    const directory = realpathSync(mkdtempSync(join(tmpdir(), "haplan-facts-")));
    const at = (path: string): string => join(directory, path);
    try {
      chmodSync(directory, 0o755);
      mkdirSync(at("it's open"), { mode: 0o755 });
      mkdirSync(at("closed"), { mode: 0o700 });
      writeFileSync(at("closed/program"), "", { mode: 0o755 });
      symlinkSync(at("closed/program"), at("link"));
      writeFileSync(at("data"), Buffer.alloc(2 ** 20, 1));
      const script = factsScript({
        dataDirectory: directory,
        programsDirectory: directory,
        programs: [],
        paths: ["it's open", "it's open/a/b", "closed", "closed/b", "link", "data", "data/b"].map(at),
        replaced: [directory, at("none")],
      });
      const { paths, replacedBytes } = parseFacts(execFileSync(shell, ["-c", script], { encoding: "utf8" }));
      expect(
        paths.map(({ path, kind, resolved }) => [relative(directory, path), kind, relative(directory, resolved)]),
      ).toEqual([
        ["it's open", "directory", "it's open"],
        ["it's open/a/b", "missing", "it's open"],
        ["closed", "directory", "closed"],
        ["closed/b", "missing", "closed"],
        ["link", "file", "closed/program"],
        ["data", "file", "data"],
        ["data/b", "file", "data"],
      ]);
      expect(new Set(paths.map(({ ownerId }) => ownerId))).toEqual(new Set([userInfo().uid]));
      expect(paths.every(({ isWritable }) => isWritable)).toBe(true);
      const isRoot = userInfo().uid === 0;
      const rights = ["rx", "rx", "", "", "", "r", "r"];
      expect(paths.map((each) => each.rights)).toEqual(isRoot ? rights : rights.map(() => null));
      expect(replacedBytes).toBeGreaterThanOrEqual(2 ** 20);
      expect(replacedBytes).toBeLessThan(2 ** 21);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
