import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import type { ObservedMachine } from "../../plan/observed-cluster.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { MachineIdentity, MachineUnit, Provider } from "../provider.ts";
import { unitDigest } from "../unit-digest.ts";
import { createLocalProvider } from "./local-provider.ts";
import { identifyProcess, isSameProcess, unitMarker } from "./process-table.ts";

/** A program that does what its arguments say, with real signals, files and sockets. */
const program = `
const { createServer } = require("node:net");
const { readFileSync, writeFileSync } = require("node:fs");
const [mode, detail] = process.argv.slice(2);
console.log("started", mode, process.env.GREETING ?? "", process.env.SECRET_OF_CALLER ?? "no secret");
if (mode === "exit") { console.error("cannot go on: " + detail); process.exit(3); }
if (mode === "stubborn") process.on("SIGTERM", () => console.log("I stay"));
if (mode === "listen") createServer().listen(Number(detail.split(":")[1]), detail.split(":")[0]);
if (mode === "parent") require("node:child_process").spawn(process.execPath, [__filename, "idle"], { stdio: "inherit" });
process.on("SIGHUP", () => console.log("reloaded", readFileSync(detail, "utf8")));
setInterval(() => {}, 1000);
`;

let root: string;
let parent: string;
let provider: Provider;
const m1: MachineIdentity = { name: "m1", address: "127.77.18.1", zone: null, lineage: "lineage-a", generation: 1 };

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "haplan-local-"));
  root = join(parent, ".haplan", "demo");
  mkdirSync(join(parent, "cmd", "probe"), { recursive: true });
  writeFileSync(join(parent, "cmd", "probe", "main.js"), program);
  provider = createLocalProvider({ root, programsDir: join(parent, "cmd") });
});
afterEach(async () => {
  for (const machine of await machinesFound(null, ["m1", "m2"])) await provider.destroyMachine(machine.name);
  rmSync(parent, { recursive: true, force: true });
});

async function machinesFound(lineage: string | null, names: readonly string[]): Promise<readonly ObservedMachine[]> {
  const { machines, unreachable } = await provider.observe(lineage, names);
  expect(unreachable).toEqual([]);
  return machines;
}

function unit(changes: Partial<UnitDefinition> = {}): UnitDefinition {
  return {
    name: "agent",
    program: { kind: "haplan", command: "probe" },
    arguments: ["idle"],
    environment: { GREETING: "hello" },
    files: [],
    listens: [],
    ...changes,
  };
}

/** Resolves once `hostPort` takes connections. */
async function reachable(hostPort: string): Promise<void> {
  const [host = "", port = ""] = hostPort.split(":");
  const connects = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(Number(port), host, () => {
        socket.destroy();
        resolve(true);
      }).on("error", () => resolve(false));
    });
  await expect.poll(connects, { timeout: 10_000 }).toBe(true);
}

async function onlyUnit(): Promise<{ running: boolean; pid: number | null; definitionDigest: string }> {
  const machines = await machinesFound("lineage-a", []);
  const found = machines[0]?.units[0];
  if (found === undefined) throw new Error("there is no unit");
  return found;
}

async function logHolding(text: string): Promise<string> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const log = await provider.unitLog("m1", "agent", 50);
    if (log.includes(text)) return log;
    await systemClock.sleep(20);
  }
  return provider.unitLog("m1", "agent", 50);
}

describe("a machine whose files are damaged", () => {
  const m2: MachineIdentity = { ...m1, name: "m2", address: "127.77.18.2" };
  const label = (): string => join(root, "machines/m1/machine.json");

  it.each(["", '{ "name": "m1", "linea', "null", "{}"])(
    "F20: is unreachable with the file's name, and no other machine is: %j",
    async (text) => {
      await provider.createMachine(m1);
      await provider.createMachine(m2);
      writeFileSync(label(), text);
      const found = await provider.observe("lineage-a", []);
      expect(found.machines.map(({ name }) => name)).toEqual(["m2"]);
      expect(found.unreachable).toEqual([
        { name: "m1", reason: `"${label()}" is damaged: it does not say which machine this is` },
      ]);
      expect(await provider.observeOrphans()).toEqual([]);
      await provider.destroyMachine("m1");
      expect(existsSync(join(root, "machines/m1"))).toBe(false);
    },
  );

  it("F20: gives way to one of the next generation, which does not start on its data", async () => {
    await provider.createMachine(m1);
    await provider.startUnit("m1", unit());
    writeFileSync(join(root, "machines/m1/data/member"), "of generation 1");
    writeFileSync(label(), "");
    await provider.createMachine({ ...m1, generation: 2 });
    const [machine] = await machinesFound("lineage-a", []);
    expect(machine).toMatchObject({ generation: 2, hasData: false, units: [] });
    expect(await provider.observeOrphans()).toEqual([]);
  });

  it("F20: starts a unit anew whose record is damaged", async () => {
    await provider.createMachine(m1);
    const { pid } = await provider.startUnit("m1", unit());
    writeFileSync(join(root, "machines/m1/units/agent/unit.json"), "{");
    const [machine] = await machinesFound("lineage-a", []);
    expect(machine?.units).toMatchObject([{ name: "agent", running: true, definitionDigest: "" }]);
    expect((await provider.startUnit("m1", unit())).pid).not.toBe(pid);
    expect((await machinesFound("lineage-a", []))[0]?.units).toMatchObject([{ definitionDigest: unitDigest(unit()) }]);
  });
});

describe("a local machine", () => {
  it("is found by its lineage or its name, and leaves nothing when it is destroyed", async () => {
    expect(await machinesFound("lineage-a", ["m1"])).toEqual([]);
    await provider.createMachine(m1);
    await provider.createMachine(m1);
    const expected = {
      name: "m1",
      address: "127.77.18.1",
      lineage: "lineage-a",
      generation: 1,
      hasData: false,
      freeBytes: expect.any(Number),
      units: [],
    };
    expect(await machinesFound("lineage-a", [])).toEqual([expected]);
    expect(await machinesFound("lineage-b", ["m1"])).toEqual([expected]);
    expect(await machinesFound("lineage-b", ["m2"])).toEqual([]);
    const { pid } = await provider.startUnit("m1", unit());
    const walDir = join(root, "machines/m1/data/member/wal");
    mkdirSync(walDir, { recursive: true });
    // As an agent leaves it that refuses to start without its log.
    expect((await machinesFound("lineage-a", []))[0]?.hasData).toBe(false);
    writeFileSync(join(walDir, "000000000001.log"), "entries");
    expect((await machinesFound("lineage-a", []))[0]?.hasData).toBe(true);
    await provider.destroyMachine("m1");
    await provider.destroyMachine("m1");
    expect(identifyProcess(pid!)).toBeNull();
    expect(existsSync(join(root, "machines"))).toBe(false);
  });

  it("is not taken over from another cluster or another generation", async () => {
    await provider.createMachine(m1);
    await expect(provider.createMachine({ ...m1, lineage: "lineage-b" })).rejects.toMatchObject({
      code: "provider/machine-taken",
    });
    await expect(provider.createMachine({ ...m1, generation: 2 })).rejects.toMatchObject({
      code: "provider/machine-taken",
    });
    for (const name of ["..", "a/b", ""]) {
      await expect(provider.createMachine({ ...m1, name })).rejects.toMatchObject({ code: "provider/bad-name" });
    }
  });

  it("T12: stands beside another one of its name, told apart by its generation, until that one goes", async () => {
    const second = { ...m1, address: "127.77.18.2", generation: 2 };
    await provider.createMachine(m1);
    const former = await provider.startUnit("m1", unit());
    for (let twice = 0; twice < 2; twice += 1) await provider.createMachine({ ...second, beside: 1 });
    await expect(provider.createMachine({ ...m1, generation: 3, beside: 1 })).rejects.toMatchObject({
      code: "provider/machine-taken",
    });
    const generations = async (): Promise<readonly (readonly [number, string, number])[]> =>
      (await machinesFound("lineage-a", []))
        .map(({ generation, address, units }) => [generation, address, units.length] as const)
        .sort(([a], [b]) => a - b);
    expect(await generations()).toEqual([
      [1, "127.77.18.1", 1],
      [2, "127.77.18.2", 0],
    ]);
    // A name alone is the newest.
    const { pid } = await provider.startUnit(
      "m1",
      unit({ files: [{ path: "place", content: "@DATA@", mode: 0o600 }] }),
    );
    expect(await provider.readUnitFile("m1", "agent", "place")).toBe(join(root, "machines", "m1@2", "data"));
    await provider.stopUnit({ name: "m1", generation: 1 }, "agent", 5_000);
    expect([identifyProcess(former.pid!), identifyProcess(pid!)]).toEqual([null, expect.anything()]);
    await provider.destroyMachine({ name: "m1", generation: 1 });
    await provider.destroyMachine({ name: "m1", generation: 1 });
    expect(await generations()).toEqual([[2, "127.77.18.2", 1]]);
    await provider.createMachine({ ...m1, generation: 3, beside: 2 });
    expect(existsSync(join(root, "machines", "m1", "machine.json"))).toBe(true);
    await provider.destroyMachine("m1");
    expect(identifyProcess(pid!)).toBeNull();
    expect(existsSync(join(root, "machines"))).toBe(false);
  });

  it("T2: takes another name while its units run, and its directory can be none of a later machine", async () => {
    await provider.createMachine(m1);
    const { pid } = await provider.startUnit("m1", unit());
    for (let twice = 0; twice < 2; twice += 1) await provider.renameMachine("m1", "m2");
    expect(await machinesFound("lineage-a", [])).toMatchObject([{ name: "m2", units: [{ running: true, pid }] }]);
    expect(await provider.startUnit("m2", unit())).toEqual({ pid });
    await provider.createMachine(m1);
    await expect(provider.renameMachine("m1", "m2")).rejects.toMatchObject({ code: "provider/machine-taken" });
    await provider.destroyMachine("m1");
    expect(identifyProcess(pid!)).not.toBeNull();
    await provider.destroyMachine("m2");
    expect(identifyProcess(pid!)).toBeNull();
    expect(existsSync(join(root, "machines"))).toBe(false);
  });

  it("T12: is destroyed by its generation also when its directory is gone and its processes run", async () => {
    await provider.createMachine(m1);
    await provider.createMachine({ ...m1, generation: 2, beside: 1 });
    const { pid } = await provider.startUnit("m1", unit());
    rmSync(join(root, "machines", "m1@2"), { recursive: true });
    expect(await provider.observeOrphans()).toEqual([{ machine: "m1", unit: "agent", pid }]);
    await provider.destroyMachine("m1");
    expect(identifyProcess(pid!)).toBeNull();
  });

  it("is private to its user", async () => {
    await provider.createMachine(m1);
    expect(statSync(join(root, "machines", "m1")).mode & 0o777).toBe(0o700);
  });
});

describe("a unit", () => {
  beforeEach(() => provider.createMachine(m1));

  it("gets its files with placeholders filled in, a minimal environment, and logs to a file", async () => {
    process.env["SECRET_OF_CALLER"] = "leaked";
    const definition = unit({
      arguments: ["idle", "@UNIT@/tls/key"],
      files: [
        { path: "tls/key", content: "in @UNIT@ and @DATA@", mode: 0o600 },
        { path: "raw", content: Buffer.from("@UNIT@"), mode: 0o644 },
      ],
    });
    await provider.startUnit("m1", definition);
    const machine = join(root, "machines", "m1");
    expect(await provider.readUnitFile("m1", "agent", "tls/key")).toBe(
      `in ${machine}/units/agent/files and ${machine}/data`,
    );
    expect(await provider.readUnitFile("m1", "agent", "raw")).toBe("@UNIT@");
    expect(await provider.readUnitFile("m1", "agent", "none")).toBeNull();
    expect(statSync(join(machine, "units/agent/files/tls/key")).mode & 0o777).toBe(0o600);
    expect(await logHolding("started")).toContain("started idle hello no secret");
    expect(readFileSync(join(machine, "units/agent/unit.json"), "utf8")).not.toContain("in @UNIT@");
    delete process.env["SECRET_OF_CALLER"];
  });

  it("is left alone when nothing changed, restarted when its definition changed or a file was tampered with", async () => {
    const definition = unit({ files: [{ path: "config", content: "a", mode: 0o600 }] });
    const first = await provider.startUnit("m1", definition);
    expect(await provider.startUnit("m1", definition)).toEqual(first);
    expect(await onlyUnit()).toEqual({
      name: "agent",
      running: true,
      pid: first.pid,
      definitionDigest: unitDigest(definition),
      arguments: [expect.stringMatching(/main\.js$/), "idle"],
    });
    const second = await provider.startUnit("m1", { ...definition, arguments: ["idle", "more"] });
    expect(second.pid).not.toBe(first.pid);
    expect(identifyProcess(first.pid!)).toBeNull();
    writeFileSync(join(root, "machines/m1/units/agent/files/config"), "tampered");
    expect((await onlyUnit()).definitionDigest).not.toBe(unitDigest({ ...definition, arguments: ["idle", "more"] }));
    const third = await provider.startUnit("m1", { ...definition, arguments: ["idle", "more"] });
    expect(third.pid).not.toBe(second.pid);
    expect(await provider.readUnitFile("m1", "agent", "config")).toBe("a");
    await provider.startUnit("m1", { ...definition, files: [] });
    expect(await provider.readUnitFile("m1", "agent", "config")).toBeNull();
  });

  it("is signaled instead of restarted when only files changed that it reloads", async () => {
    const definition = (config: string): UnitDefinition =>
      unit({
        arguments: ["idle", "@UNIT@/config"],
        files: [{ path: "config", content: config, mode: 0o600 }],
        reload: { signal: "SIGHUP", files: ["config"] },
      });
    const first = await provider.startUnit("m1", definition("one"));
    await logHolding("started");
    expect(await provider.startUnit("m1", definition("two"))).toEqual(first);
    expect(await logHolding("reloaded")).toContain("reloaded two");
    expect((await onlyUnit()).definitionDigest).toBe(unitDigest(definition("two")));
  });

  it("that ends at once is reported with its exit code and the end of its log", async () => {
    const start = provider.startUnit("m1", unit({ arguments: ["exit", "the disk is full"] }));
    await expect(start).rejects.toMatchObject({
      code: "provider/unit-exited",
      message: expect.stringMatching(/exit code 3.*cannot go on: the disk is full/s),
    });
    expect((await onlyUnit()).running).toBe(false);
  });

  it("needs a machine and a program", async () => {
    await expect(provider.startUnit("m2", unit())).rejects.toMatchObject({ code: "provider/no-machine" });
    const missing = unit({ program: { kind: "system", command: "no-such-program" } });
    await expect(provider.startUnit("m1", missing)).rejects.toMatchObject({ code: "provider/program-missing" });
    const outside = unit({ files: [{ path: "../../escape", content: "", mode: 0o600 }] });
    await expect(provider.startUnit("m1", outside)).rejects.toMatchObject({ code: "provider/bad-name" });
  });

  it("is stopped with SIGTERM even while it is paused, and with SIGKILL when it does not listen", async () => {
    const paused = await provider.startUnit("m1", unit());
    process.kill(paused.pid!, "SIGSTOP");
    expect((await onlyUnit()).running).toBe(true);
    await provider.stopUnit("m1", "agent", 5000);
    expect(identifyProcess(paused.pid!)).toBeNull();
    const stubborn = await provider.startUnit("m1", unit({ arguments: ["stubborn"] }));
    await logHolding("started stubborn");
    await provider.stopUnit("m1", "agent", 100);
    expect(await provider.unitLog("m1", "agent", 1)).toBe("I stay");
    expect(identifyProcess(stubborn.pid!)).toBeNull();
    await provider.stopUnit("m1", "agent", 100);
  });

  it("takes its children with it", async () => {
    await provider.startUnit("m1", unit({ arguments: ["parent"] }));
    await logHolding("started idle");
    await provider.removeUnit("m1", "agent");
    const left = execFileSync("sh", ["-c", `grep -lsz '^${unitMarker}=${root}/' /proc/[0-9]*/environ || true`]);
    expect(left.toString()).toBe("");
    expect((await machinesFound("lineage-a", []))[0]?.units).toEqual([]);
  });

  it("is found again when the pid file is lost, and not mistaken for another process with its pid", async () => {
    const started = await provider.startUnit("m1", unit());
    const pidFile = join(root, "machines/m1/units/agent/process.json");
    rmSync(pidFile);
    expect(await onlyUnit()).toMatchObject({ running: true, pid: started.pid });
    await provider.stopUnit("m1", "agent", 5000);
    writeFileSync(pidFile, JSON.stringify({ pid: process.pid, startedAt: "another boot/1" }));
    expect(await onlyUnit()).toMatchObject({ running: false, pid: null });
    await provider.stopUnit("m1", "agent", 100);
    expect(isSameProcess(identifyProcess(process.pid)!)).toBe(true);
  });
});

describe("a process whose machine's directory was removed", () => {
  it("T9: is found by its marker, and stopped when the machine is destroyed", async () => {
    await provider.createMachine(m1);
    const { pid } = await provider.startUnit("m1", unit());
    expect(await provider.observeOrphans()).toEqual([]);
    rmSync(root, { recursive: true, force: true });
    expect(await machinesFound("lineage-a", ["m1"])).toEqual([]);
    expect(await provider.observeOrphans()).toEqual([{ machine: "m1", unit: "agent", pid }]);
    const other = createLocalProvider({ root: `${root}2`, programsDir: join(parent, "cmd") });
    expect(await other.observeOrphans()).toEqual([]);
    await provider.destroyMachine("m1");
    expect(await provider.observeOrphans()).toEqual([]);
    expect(identifyProcess(pid!)).toBeNull();
    expect(existsSync(root)).toBe(false);
  });
});

describe("the preflight", () => {
  const placed = (units: readonly UnitDefinition[]): MachineUnit[] =>
    units.map((each) => ({ machine: "m1", unit: each }));
  const summaries = async (units: UnitDefinition[], machines = [m1]): Promise<string[]> =>
    (await provider.preflight({ machines, units: placed(units), space: [], network: [], certificateAgeMs: null })).map(
      (diagnostic) => `${diagnostic.code}: ${diagnostic.summary}`,
    );

  it("finds nothing wrong with a free address and changes nothing", async () => {
    expect(await summaries([unit({ listens: ["127.77.18.9:29379"] })])).toEqual([]);
    expect(existsSync(root)).toBe(false);
  });

  it("warns of a key file for backups that is missing or no file", async () => {
    mkdirSync(parent, { recursive: true });
    const key = join(parent, "backup.key");
    const keyed = unit({ arguments: [`--backup-key-file=${key}`] });
    expect(await summaries([keyed])).toEqual([`preflight/backup-key: ${key} does not exist`]);
    writeFileSync(key, "0".repeat(64));
    expect(await summaries([keyed])).toEqual([]);
    expect(await summaries([unit({ arguments: [`--backup-key-file=${parent}`] })])).toEqual([
      `preflight/backup-key: ${parent} is no file`,
    ]);
  });

  it("names who has taken an address, unless it is this cluster itself", async () => {
    await provider.createMachine(m1);
    const definition = unit({ arguments: ["listen", "127.77.18.8:29380"], listens: ["127.77.18.8:29380"] });
    const { pid } = await provider.startUnit("m1", definition);
    expect(await summaries([definition])).toEqual([]);
    const other = createLocalProvider({ root: join(parent, "other"), programsDir: join(parent, "cmd") });
    const [taken] = await other.preflight({
      machines: [],
      units: placed([definition]),
      space: [],
      network: [],
      certificateAgeMs: null,
    });
    // T9: a cluster of haplan's is named, and where it is worked on.
    expect(taken?.summary).toBe(`127.77.18.8:29380 is in use by the agent of "m1" in the cluster "demo", pid ${pid}`);
    expect(taken?.detail).toContain(`applied that cluster in ${parent}.`);
    expect(taken?.detail).toContain("haplan destroy -state-only=demo");
  });

  it("T low: tells what stands in the way of several addresses once, with all of them", async () => {
    await provider.createMachine(m1);
    const listens = ["127.77.18.8:29384", "127.77.18.8:29385"];
    const definitions = listens.map((listen, index) =>
      unit({ name: `agent-${index}`, arguments: ["listen", listen], listens: [listen] }),
    );
    const pids: (number | null)[] = [];
    for (const each of definitions) pids.push((await provider.startUnit("m1", each)).pid);
    await Promise.all(listens.map((listen) => reachable(listen)));
    const other = createLocalProvider({ root: join(parent, "other"), programsDir: join(parent, "cmd") });
    const away = unit({ listens: ["203.0.113.7:1", "203.0.113.7:2"] });
    const found = await other.preflight({
      machines: [],
      units: placed([...definitions, away]),
      space: [],
      network: [],
      certificateAgeMs: null,
    });
    expect(found.map(({ summary }) => summary)).toEqual([
      '2 addresses are in use by the cluster "demo"',
      "Cannot listen on 2 addresses",
    ]);
    const holder = (index: number): string => `by the agent-${index} of "m1" in the cluster "demo", pid ${pids[index]}`;
    expect(found[0]?.detail?.split("\n").slice(0, 3)).toEqual([
      `  127.77.18.8:29384 ${holder(0)}`,
      `  127.77.18.8:29385 ${holder(1)}`,
      "",
    ]);
    expect(found[1]?.detail).toContain("  203.0.113.7:1\n  203.0.113.7:2\n\nThis machine has no address 203.0.113.7");
  });

  it("names a process of no cluster by its command line", async () => {
    const listener = spawn(process.execPath, [join(parent, "cmd/probe/main.js"), "listen", "127.77.18.8:29381"]);
    try {
      const taken = async (): Promise<string | undefined> =>
        (await summaries([unit({ listens: ["127.77.18.8:29381"] })]))[0];
      await expect
        .poll(taken, { timeout: 10_000 })
        .toMatch(new RegExp(`127.77.18.8:29381 is in use by pid ${listener.pid} \\(.*probe/main.js`));
    } finally {
      listener.kill("SIGKILL");
    }
  });

  it("compares the version of a program with the one that it has to be", async () => {
    const file = join(parent, "etcd");
    writeFileSync(file, "#!/bin/sh\necho etcd Version: 3.6.14\n", { mode: 0o755 });
    const wants = async (version: string, command = file): Promise<readonly (string | undefined)[]> => {
      const program = { kind: "system", command, version } as const;
      const units = [{ machine: "m1", unit: unit({ program }) }];
      const found = await provider.preflight({ machines: [], units, space: [], network: [], certificateAgeMs: null });
      return found.map(({ summary, detail }) => `${summary}. ${detail}`);
    };
    expect(await wants("3.6.14")).toEqual([]);
    expect(await wants("3.7.1")).toEqual([
      `"${file}" is not version 3.7.1, but 3.6.14. Install that version there, or write the version and path of another one.`,
    ]);
    expect(await wants("3.7.1", `${file}-3.7`)).toEqual([
      `Program "${file}-3.7" does not exist. Install it there, or write the path of another one.`,
    ]);
  });

  it("says all that is wrong at once", async () => {
    await provider.createMachine({ ...m1, lineage: "lineage-b" });
    const units = [
      unit({ program: { kind: "system", command: "no-such-program" }, listens: ["127.77.18.9:1234"] }),
      unit({ program: { kind: "haplan", command: "no-such-command" }, listens: ["127.77.18.9:1234", "203.0.113.7:1"] }),
      unit({ listens: ["nonsense"] }),
    ];
    expect(await summaries(units)).toEqual([
      'preflight/machine-taken: Machine "m1" belongs to another cluster',
      'preflight/program-missing: Program "no-such-program" does not exist',
      'preflight/program-missing: Program "no-such-command" does not exist',
      "preflight/listened-twice: Two units would listen on 127.77.18.9:1234",
      'preflight/bad-address: "nonsense" is not a listen address',
      "preflight/cannot-listen: Cannot listen on 203.0.113.7:1",
    ]);
  });

  it("refuses a directory that is a file, and one that cannot be written even by root", async () => {
    writeFileSync(join(parent, ".haplan"), "");
    expect(await summaries([])).toEqual([`preflight/not-a-directory: "${join(parent, ".haplan")}" is not a directory`]);
    const sealed = createLocalProvider({ root: "/proc/haplan", programsDir: join(parent, "cmd") });
    expect(
      (await sealed.preflight({ machines: [], units: [], space: [], network: [], certificateAgeMs: null })).map(
        (found) => found.code,
      ),
    ).toEqual(["preflight/unwritable-directory"]);
  });

  it("refuses a directory without the right to write", async () => {
    chmodSync(parent, 0o555);
    // Root has every permission, so another user runs this check.
    const user = process.geteuid!();
    if (user === 0) process.seteuid!(65_534);
    const found = await summaries([]).finally(() => process.seteuid!(user));
    chmodSync(parent, 0o700);
    expect(found).toEqual([`preflight/unwritable-directory: Cannot write to "${parent}"`]);
  });
});
