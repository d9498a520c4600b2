/** A unit that gets another definition while a write fails, or while haplan is killed. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ObservedUnit } from "../../plan/observed-cluster.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { Provider } from "../provider.ts";
import type { Supervisor } from "../supervisor.ts";
import { unitDigest } from "../unit-digest.ts";
import { detachedProcesses } from "./detached-processes.ts";
import { createLocalProvider } from "./local-provider.ts";

let parent: string;
let provider: Provider;
/** Acts of the supervisor, in their order; what `fault` throws happens instead of one. */
let acts: string[] = [];
let fault: (act: string) => void;

const supervisor: Supervisor = {
  ...detachedProcesses,
  redefine: (...given) => acting(`redefine ${given[1].arguments.at(-1)}`, () => detachedProcesses.redefine(...given)),
  stop: (...given) => acting("stop", () => detachedProcesses.stop(...given)),
  start: (...given) => acting("start", () => detachedProcesses.start(...given)),
};

async function acting<Result>(act: string, work: () => Promise<Result>): Promise<Result> {
  acts.push(act);
  fault(act);
  return await work();
}

beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), "haplan-start-"));
  mkdirSync(join(parent, "programs/probe"), { recursive: true });
  writeFileSync(join(parent, "programs/probe/main.js"), "setInterval(() => {}, 1000);");
  provider = createLocalProvider({ root: join(parent, "demo"), programsDir: join(parent, "programs"), supervisor });
  fault = () => undefined;
  await provider.createMachine({
    name: "m1",
    address: "127.77.21.1",
    zone: null,
    lineage: "lineage-a",
    generation: 1,
  });
  await provider.startUnit("m1", unit("one"));
  acts = [];
});
afterEach(async () => {
  fault = () => undefined;
  await provider.destroyMachine("m1");
  rmSync(parent, { recursive: true, force: true });
});

function unit(version: string, more: readonly UnitDefinition["files"][number][] = []): UnitDefinition {
  return {
    name: "agent",
    program: { kind: "haplan", command: "probe" },
    arguments: [version],
    environment: {},
    files: [{ path: "config", content: version, mode: 0o640 }, ...more],
    listens: [],
    artifact: { name: version, programsDir: join(parent, "programs") },
  };
}

async function observed(): Promise<ObservedUnit> {
  return (await provider.observe("lineage-a", [])).machines[0]!.units[0]!;
}
const unitPath = (name: string): string => join(parent, "demo/machines/m1/units/agent", name);

const noSpace = (): never => {
  throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
};

describe("a unit whose definition changes", () => {
  it("has all that is written in force before its process is stopped", async () => {
    let written: unknown;
    fault = (act) => {
      if (act === "stop")
        written = [readFileSync(unitPath("files/config"), "utf8"), readFileSync(unitPath("unit.json"), "utf8")];
    };
    await provider.startUnit("m1", unit("two"));
    expect(acts).toEqual(["redefine two", "stop", "start"]);
    expect(written).toEqual(["two", expect.stringContaining(unitDigest(unit("two")))]);
  });

  it.each<[string, { file?: UnitDefinition["files"][number]; at?: string; blocked?: string }]>([
    ["its unit file cannot be written", { at: "redefine two" }],
    [
      "a file of it cannot be written",
      { file: { path: "blocked/key", content: "k", mode: 0o600 }, blocked: "blocked" },
    ],
    ["a file of it cannot be replaced", { file: { path: "key", content: "k", mode: 0o600 }, blocked: "key/inside" }],
  ])("goes on as it is if %s, and is changed once that works", async (_, { file, at, blocked }) => {
    const before = await observed();
    fault = (act) => {
      if (act === at) noSpace();
    };
    // In the place of a directory there is a file, or the other way round.
    if (blocked !== undefined) {
      mkdirSync(join(unitPath("files"), blocked, ".."), { recursive: true });
      writeFileSync(join(unitPath("files"), blocked), "");
    }
    const next = unit("two", file === undefined ? [] : [file]);
    await expect(provider.startUnit("m1", next)).rejects.toThrow(/ENOSPC|EEXIST|ENOTDIR|EISDIR|ENOTEMPTY/);
    expect(acts).not.toContain("stop");
    expect(await observed()).toEqual(before);
    expect(readFileSync(unitPath("files/config"), "utf8")).toBe("one");
    fault = () => undefined;
    expect(await provider.startUnit("m1", unit("one"))).toEqual({ pid: before.pid });
    if (blocked !== undefined) rmSync(join(unitPath("files"), blocked.split("/")[0]!), { recursive: true });
    const after = await provider.startUnit("m1", next);
    expect(after.pid).not.toBe(before.pid);
    expect(await observed()).toMatchObject({ running: true, artifact: "two", definitionDigest: unitDigest(next) });
  });

  it("counts as changed where what was written could not be undone, and its process goes on", async () => {
    const { pid } = await observed();
    fault = (act) => {
      if (act.startsWith("redefine")) noSpace();
    };
    await expect(provider.startUnit("m1", unit("two"))).rejects.toThrow("ENOSPC");
    const found = await observed();
    expect(found).toMatchObject({ running: true, pid });
    expect([unitDigest(unit("one")), unitDigest(unit("two"))]).not.toContain(found.definitionDigest);
  });

  it.each(
    ["redefine two", "stop", "start"].flatMap((at) => ["one", "two", "three"].map((wanted) => [at, wanted] as const)),
  )("is found by the next plan where haplan is killed before %s, and gets definition %s", async (at, version) => {
    const wanted = unit(version);
    let isKilled = false;
    fault = (act) => {
      isKilled ||= act === at;
      if (isKilled) throw new Error("killed");
    };
    await expect(provider.startUnit("m1", unit("two"))).rejects.toThrow("killed");
    fault = () => undefined;
    const found = await observed();
    // What runs has nothing of the new definition, and where nothing runs, that is a change by itself.
    if (found.running) expect([unitDigest(unit("one")), unitDigest(unit("two"))]).not.toContain(found.definitionDigest);
    const { pid } = await provider.startUnit("m1", wanted);
    expect(pid).not.toBe(found.pid);
    expect(await observed()).toMatchObject({ running: true, pid, definitionDigest: unitDigest(wanted) });
    expect(await provider.startUnit("m1", wanted)).toEqual({ pid });
  });
});
