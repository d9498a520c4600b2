/** Units whose user has another id by now, as after a tool that gives users the same id on all hosts. */
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ObservedUnit } from "../../plan/observed-cluster.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { Provider } from "../provider.ts";
import type { Supervisor, UnitOwner } from "../supervisor.ts";
import { detachedProcesses } from "./detached-processes.ts";
import { createLocalProvider } from "./local-provider.ts";
import { openToGroup } from "./open-to-group.ts";

const former: UnitOwner = { userId: 41_001, groupId: 41_001 };
const present: UnitOwner = { userId: 41_002, groupId: 41_002 };
const sameGroup: UnitOwner = { userId: 41_002, groupId: 41_001 };

let parent: string;
let provider: Provider;
let owner: UnitOwner | null;
let overrides: readonly string[];
/** What the unit's files were at each act on its process. */
let acts: string[];

const at = (path: string): string => join(parent, "demo/machines/m1", path);
const idsOf = (path: string): string => `${statSync(at(path)).uid}:${statSync(at(path)).gid}`;
const segment = "data/member/wal";

/** As systemd: a process starts as the user that there is by then. */
const supervisor: Supervisor = {
  ...detachedProcesses,
  hasOwnUser: true,
  owner: () => owner,
  prepare: async () => (owner ??= present),
  overrides: async () => overrides,
  stop: async (...given) => {
    acts.push(`stop ${idsOf(segment)}`);
    await detachedProcesses.stop(...given);
  },
  start: async (place, request) => {
    acts.push(`start ${idsOf(segment)}`);
    const as = [`--reuid=${owner!.userId}`, `--regid=${owner!.groupId}`, "--clear-groups"];
    const words = [...as, request.file, ...request.arguments];
    return await detachedProcesses.start(place, { ...request, file: "setpriv", arguments: words });
  },
};

const isRoot = process.getuid?.() === 0 && existsSync("/proc/self/status");

function unit(content = "one"): UnitDefinition {
  return {
    name: "agent",
    program: { kind: "system", command: "sleep" },
    arguments: ["600"],
    environment: {},
    files: [{ path: "tls/tls.key", content, mode: 0o600 }],
    reload: { signal: null, files: ["tls/tls.key"] },
    listens: [],
  };
}

async function observed(): Promise<ObservedUnit> {
  return (await provider.observe("lineage-a", [])).machines[0]!.units[0]!;
}

beforeEach(async () => {
  if (!isRoot) return;
  parent = mkdtempSync(join(tmpdir(), "haplan-former-user-"));
  owner = former;
  overrides = [];
  acts = [];
  provider = createLocalProvider({ root: join(parent, "demo"), supervisor });
  await provider.createMachine({ name: "m1", address: "127.77.24.1", zone: null, lineage: "lineage-a", generation: 1 });
  mkdirSync(at(segment), { recursive: true });
  writeFileSync(at(`${segment}/0.wal`), "");
  await provider.startUnit("m1", unit());
  acts = [];
});
afterEach(async () => {
  if (!isRoot) return;
  await provider.destroyMachine("m1");
  rmSync(parent, { recursive: true, force: true });
});

describe.skipIf(!isRoot)(`a unit whose user has another id by now${isRoot ? "" : " (skipped without root)"}`, () => {
  it.each([
    ["another user and group", present, "41002:41002"],
    ["another user", sameGroup, "41002:41001"],
    ["none", null, null],
  ])("is told of as of a former user, and not of changed files: %s", async (_, next, ids) => {
    const before = await observed();
    expect(before).not.toHaveProperty("formerUser");
    owner = next;
    const { definitionDigest, ...after } = await observed();
    expect(definitionDigest).not.toBe(before.definitionDigest);
    expect(after).toMatchObject({ running: true, formerUser: { runsAs: "41001:41001", present: ids } });
    expect(after).not.toHaveProperty("changedFiles");
  });

  it.each([
    ["another user and group", present],
    ["another user", sameGroup],
    ["none, until it is made again", null],
  ])("has its data until its process has stopped, and starts as the present user: %s", async (_, next) => {
    const { pid } = await observed();
    owner = next;
    const started = await provider.startUnit("m1", unit());
    expect(started.pid).not.toBe(pid);
    const ids = `${owner!.userId}:${owner!.groupId}`;
    expect(acts).toEqual(["stop 41001:41001", `start ${ids}`]);
    for (const path of ["data", `${segment}/0.wal`, "units/agent/files/tls/tls.key"])
      expect([path, idsOf(path)]).toEqual([path, ids]);
    expect(statSync(at("units/agent/files")).gid).toBe(owner!.groupId);
    expect(statSync(at("units/agent/files")).mode & 0o777).toBe(0o750);
    expect(await observed()).not.toHaveProperty("formerUser");
    acts = [];
    expect(await provider.startUnit("m1", unit())).toEqual(started);
    expect(acts).toEqual([]);
  });

  it("is not told to reload files that its process cannot read", async () => {
    const { pid } = await observed();
    owner = sameGroup;
    expect((await provider.startUnit("m1", unit("two"))).pid).not.toBe(pid);
    expect(acts).toEqual(["stop 41001:41001", "start 41002:41001"]);
  });

  it("is found where an earlier version has given away the data under its process", async () => {
    chownSync(at("data"), present.userId, present.groupId);
    owner = present;
    expect(await observed()).toMatchObject({ changedFiles: [at("data")], formerUser: { runsAs: "41001:41001" } });
    await provider.startUnit("m1", unit());
    expect(await observed()).not.toHaveProperty("changedFiles");
  });

  it("is left alone where an override of the operator's says whom it runs as", async () => {
    owner = present;
    overrides = ["/etc/systemd/system/unit.service.d/user.conf"];
    expect(await observed()).not.toHaveProperty("formerUser");
  });

  it("can go through directories that others of the present group may enter by then", async () => {
    const cluster = join(parent, "demo");
    const modeOf = (): string => (statSync(cluster).mode & 0o777).toString(8);
    openToGroup(cluster, former);
    expect(modeOf()).toBe("750");
    openToGroup(cluster, present);
    expect([modeOf(), statSync(cluster).gid]).toEqual(["751", present.groupId]);
    owner = present;
    await provider.startUnit("m1", unit());
    openToGroup(cluster, present);
    expect(modeOf()).toBe("750");
  });
});
