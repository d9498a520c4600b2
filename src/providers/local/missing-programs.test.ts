/** A unit whose programs are gone while it runs: `observe` tells, and `startUnit` gives it others without a restart. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import { unitDigest } from "../unit-digest.ts";
import { createLocalProvider } from "./local-provider.ts";

const probe = "setInterval(() => {}, 1000);";

let base: string;
const provider = () => createLocalProvider({ root: join(base, "demo"), programsDir: join(base, "none") });
beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), "haplan-missing-"));
  install("one");
  await provider().createMachine({ name: "m1", address: "127.0.0.1", zone: null, lineage: "l", generation: 1 });
});
afterEach(async () => {
  await provider().destroyMachine("m1");
  rmSync(base, { recursive: true });
});

/** An artifact as it is on a host. */
function install(name: string): void {
  const directory = join(base, name);
  for (const each of ["bin", "cmd/probe"]) mkdirSync(join(directory, each), { recursive: true });
  symlinkSync(process.execPath, join(directory, "bin/node"));
  writeFileSync(join(directory, "cmd/probe/main.js"), probe);
  writeFileSync(join(directory, "cmd/chunk.js"), "");
  const { size } = statSync(join(directory, "bin/node"));
  writeFileSync(
    join(directory, ".files"),
    `0 ./cmd/chunk.js\n${size} ./bin/node\n${probe.length} ./cmd/probe/main.js\n`,
  );
}

const unitOf = (directory: string, changes: Partial<UnitDefinition> = {}): UnitDefinition => ({
  name: "agent",
  program: { kind: "haplan", command: "probe" },
  arguments: ["idle"],
  environment: {},
  files: [{ path: "config", content: "a", mode: 0o600 }],
  listens: [],
  artifact: { name: "1.0.0", programsDir: join(base, directory, "cmd") },
  ...changes,
});

async function changed(): Promise<readonly string[]> {
  const { machines } = await provider().observe("l", []);
  const [unit] = machines[0]!.units;
  const files = unit?.changedFiles ?? [];
  expect(unit?.definitionDigest === unitDigest(unitOf("one"))).toBe(files.length === 0);
  return files;
}

describe("B5: a running unit", () => {
  const losses: readonly (readonly [missing: readonly string[], damage: () => void])[] = [
    [[], () => undefined],
    [["one"], () => rmSync(join(base, "one"), { recursive: true })],
    [["one/cmd/probe/main.js"], () => rmSync(join(base, "one/cmd/probe/main.js"))],
    [["one/bin/node"], () => rmSync(join(base, "one/bin/node"))],
    [["one/cmd/chunk.js"], () => rmSync(join(base, "one/cmd/chunk.js"))],
    [["one/cmd/chunk.js"], () => writeFileSync(join(base, "one/cmd/chunk.js"), " ")],
  ];

  it("counts as changed where its artifact is gone, or a file of it is gone or has another size", async () => {
    await provider().startUnit("m1", unitOf("one"));
    for (const [missing, damage] of losses) {
      damage();
      expect(await changed()).toEqual(missing.map((path) => join(base, path)));
      rmSync(join(base, "one"), { recursive: true, force: true });
      install("one");
    }
  });

  it("keeps its process where its artifact is in its place again", async () => {
    const { pid } = await provider().startUnit("m1", unitOf("one"));
    renameSync(join(base, "one"), join(base, "gone"));
    cpSync(join(base, "gone"), join(base, "one"), { recursive: true, verbatimSymlinks: true });
    expect(await provider().startUnit("m1", unitOf("one"))).toEqual({ pid });
    expect(await changed()).toEqual([]);
  });

  it("is to start from where its version is now, and keeps its process", async () => {
    const { pid } = await provider().startUnit("m1", unitOf("one"));
    rmSync(join(base, "one"), { recursive: true });
    install("two");
    expect(await provider().startUnit("m1", unitOf("two"))).toEqual({ pid });
    expect(await changed()).toEqual([]);
    const record = JSON.parse(readFileSync(join(base, "demo/machines/m1/units/agent/unit.json"), "utf8"));
    expect(record.command).toMatchObject({
      file: join(base, "two/bin/node"),
      program: join(base, "two/cmd/probe/main.js"),
    });
  });

  it("is restarted with another version, or another definition", async () => {
    for (const [directory, changes] of [
      ["two", { artifact: { name: "1.1.0", programsDir: join(base, "two/cmd") } }],
      ["three", { arguments: ["other"], artifact: { name: "1.1.0", programsDir: join(base, "three/cmd") } }],
    ] as const) {
      const { pid } = await provider().startUnit("m1", unitOf("one"));
      install(directory);
      rmSync(join(base, "one"), { recursive: true });
      expect((await provider().startUnit("m1", unitOf(directory, changes))).pid).not.toBe(pid);
      install("one");
    }
  });
});
