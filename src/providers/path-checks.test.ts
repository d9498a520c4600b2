import { describe, expect, it } from "vitest";
import type { HostFacts, HostPath } from "../host/host-facts.ts";
import { agentUnitName, type UnitDefinition } from "../units/unit-definition.ts";
import type { HostToCheck } from "./hosts-to-check.ts";
import { operatorFileFindings, pathFindings, usedPaths } from "./path-checks.ts";

const backups = "/var/backups/haplan";
const etcd = "/opt/etcd/etcd";

const unit: UnitDefinition = {
  name: agentUnitName,
  program: { kind: "system", command: etcd, version: "3.6.14" },
  arguments: [],
  environment: {},
  files: [],
  listens: [],
  directories: [backups],
};

const open: HostPath = {
  path: backups,
  kind: "directory",
  resolved: backups,
  ownerId: 998,
  ownerName: "haplan",
  isWritable: true,
  rights: "rwx",
};
const program: HostPath = {
  ...open,
  path: etcd,
  kind: "file",
  resolved: etcd,
  ownerId: 0,
  ownerName: "root",
  rights: "rx",
};

function found(
  paths: readonly HostPath[],
  unitUserId: number | null = 998,
  installs: readonly string[] = [],
  notRoot: string | null = null,
): readonly string[] {
  const facts = { paths, unitUserId } as HostFacts;
  const machines = [{ name: "m1", address: "10.0.0.1", units: [unit], installs, bytes: 0 }];
  const host: HostToCheck = { host: "10.0.0.1", machines, facts, notRoot, clock: null };
  const input = { cluster: "demo", certificateAgeMs: null, hosts: [host], paths: [] };
  return pathFindings(input).map(({ summary }) => summary);
}

const keyFile = "/etc/haplan/backup.key";
const readable: HostPath = {
  ...program,
  path: keyFile,
  resolved: keyFile,
  ownerId: 998,
  ownerName: "haplan",
  rights: "r",
};

describe("the key file of a schedule of backups", () => {
  const keyed: UnitDefinition = { ...unit, arguments: [`--backup-key-file=${keyFile}`] };
  it.each<[string, Partial<HostPath>, string | null, (number | null)?]>([
    ["members may read", {}, null],
    ["is missing", { kind: "missing", resolved: "/etc" }, "does not exist"],
    ["is a directory", { kind: "directory" }, "is a directory, and no key"],
    ["another user alone may read", { ownerId: 0, ownerName: "root", rights: "" }, "cannot be read by members"],
    ["another user alone may read, before there is haplan's", { rights: "" }, null, null],
    ["was not tried", { rights: null }, null],
    [
      "leads to a home directory",
      { resolved: "/root/key" },
      "is not seen by members (it is /root/key): their units hide /root",
    ],
  ])("is told or not if it %s", (_, path, expected, userId) => {
    expect(usedPaths(keyed)).toContain(keyFile);
    const facts = {
      paths: [{ ...readable, ...path }],
      unitUserId: userId === undefined ? 998 : userId,
    } as Partial<HostFacts> as HostFacts;
    const machines = [{ name: "m1", address: "10.0.0.1", units: [keyed], bytes: 0 }];
    const host: HostToCheck = { host: "10.0.0.1", machines, facts, notRoot: null, clock: null };
    const told = operatorFileFindings({ cluster: "demo", certificateAgeMs: null, hosts: [host], paths: [] });
    expect(told.map(({ summary }) => summary)).toEqual(
      expected === null ? [] : [`${keyFile} on m1 (10.0.0.1) ${expected}`],
    );
  });
});

it("credentials of a schedule of backups are told of like its key", () => {
  const path = "/etc/haplan/aws-credentials";
  const granted: UnitDefinition = { ...unit, arguments: [`--backup-s3-credentials-file=${path}`] };
  expect(usedPaths(granted)).toContain(path);
  const facts = { paths: [{ ...readable, path, resolved: "/etc", kind: "missing" }], unitUserId: 998 };
  const machines = [{ name: "m1", address: "10.0.0.1", units: [granted], bytes: 0 }];
  const host = { host: "10.0.0.1", machines, facts: facts as unknown as HostFacts, notRoot: null, clock: null };
  const [told] = operatorFileFindings({ cluster: "demo", certificateAgeMs: null, hosts: [host], paths: [] });
  expect(told?.summary).toBe(`${path} on m1 (10.0.0.1) does not exist`);
  expect(told?.detail).toContain("It is backup.schedule.credentialsFile.");
});

describe("paths that units use", () => {
  it("are those that they write to, and programs at a path", () => {
    expect(usedPaths(unit)).toEqual([backups, etcd]);
    expect(usedPaths({ ...unit, directories: [], program: { kind: "system", command: "etcd" } })).toEqual([]);
  });

  it.each<[string, Partial<HostPath>, (number | null)?]>([
    ["belongs to members", {}],
    [
      "is missing, below one that every user may enter",
      { kind: "missing", resolved: "/var", ownerId: 0, rights: "rx" },
    ],
    ["belonged to the user of an earlier cluster", { ownerName: null, rights: "" }, null],
    ["was not tried", { rights: null }],
  ])("may be a directory that %s", (_, path, userId) => {
    expect(found([{ ...open, ...path }, program], userId === undefined ? 998 : userId)).toEqual([]);
  });

  it.each<[string, Partial<HostPath>, string, (number | null)?]>([
    ["of another user", { ownerId: 0, ownerName: "root" }, "belongs to root, and members could not write to it"],
    [
      "of another user, before there is haplan's",
      { ownerId: 0, ownerName: "root", rights: "rx" },
      "belongs to root, and members could not write to it",
      null,
    ],
    [
      "of a user that is gone",
      { ownerId: 1007, ownerName: null },
      "belongs to user 1007, and members could not write to it",
    ],
    ["that its mode forbids them", { rights: "rx" }, "cannot be written to by members"],
    ["that a directory above it keeps them from", { rights: "" }, "cannot be written to by members"],
    ["that is a file", { kind: "file" }, `cannot be a directory: ${backups} is a file`],
    ["below a file", { kind: "file", resolved: "/var/backups" }, "cannot be a directory: /var/backups is a file"],
    ["on a disk that is read-only", { isWritable: false }, "is on a file system that is read-only"],
    [
      "that is missing, below one that is closed",
      { kind: "missing", resolved: "/var/backups", rights: "" },
      "could not be entered by members: /var/backups may not be",
    ],
    [
      "that leads to a home directory",
      { resolved: "/home/backups" },
      "is not seen by members (it is /home/backups): their units hide /home",
    ],
  ])("may not be a directory %s", (_, path, expected, userId) => {
    const summary = `${backups} on m1 (10.0.0.1) ${expected}`;
    expect(found([{ ...open, ...path }, program], userId === undefined ? 998 : userId)).toEqual([summary]);
  });

  it.each<[string, Partial<HostPath>, readonly string[]]>([
    ["members may run", {}, []],
    ["is missing, which another check tells", { kind: "missing", resolved: "/opt", rights: "rx" }, []],
    ["was not tried", { rights: null }, []],
    ["members may not run", { rights: "r" }, ["cannot be run by members"]],
    [
      "is in a directory that they may not enter",
      { rights: "", resolved: "/srv/closed/etcd" },
      ["cannot be run by members (it is /srv/closed/etcd)"],
    ],
    [
      "leads below /root",
      { rights: "", resolved: "/root/etcd" },
      ["is not seen by members (it is /root/etcd): their units hide /root"],
    ],
    ["is a directory", { kind: "directory" }, ["is a directory, and no program"]],
  ])("may or may not be a program that %s", (_, path, expected) => {
    expect(found([open, { ...program, ...path }])).toEqual(expected.map((each) => `${etcd} on m1 (10.0.0.1) ${each}`));
  });

  it("are not judged without root", () => {
    expect(found([{ ...open, isWritable: false }, program], 998, [], "sudo: a password is required")).toEqual([]);
  });

  it("says nothing of a program that haplan puts there", () => {
    expect(found([open, { ...program, rights: "" }], 998, [etcd])).toEqual([]);
  });
});
