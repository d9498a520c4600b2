/** Replacing the data of a machine, with a program that writes a marked directory, and at each moment of a failure. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { MachinePaths } from "./machine-dir.ts";
import { replacedDataDir, restoreData } from "./restore-data.ts";

let root: string;
let paths: MachinePaths;
let program: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "haplan-restore-data-"));
  const directory = join(root, "m1");
  paths = {
    directory,
    label: join(directory, "machine.json"),
    data: join(directory, "data"),
    units: join(directory, "units"),
  };
  mkdirSync(paths.data, { recursive: true });
  writeFileSync(join(paths.data, "from"), "before");
  program = join(root, "restore");
  script('mkdir -p "$1"; cp "$2" "$1/from"');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function script(text: string): void {
  writeFileSync(program, `#!/bin/sh\n${text}\n`);
  chmodSync(program, 0o755);
}

function restore(id: string, content: string): Promise<void> {
  const snapshot = join(root, `${id}.db`);
  writeFileSync(snapshot, content);
  const command = {
    programs: [{ kind: "system", command: program }] as const,
    arguments: ["@DATA@", "@SNAPSHOT@"],
    environment: {},
  };
  return restoreData({ paths, request: { id, snapshot, command }, programsDir: root, owner: null });
}

const dataOf = (directory: string): string => readFileSync(join(directory, "from"), "utf8");

describe("the data of a machine", () => {
  it("is replaced, and what it replaces is kept until the next restore", async () => {
    await restore("one", "first");
    expect([dataOf(paths.data), dataOf(replacedDataDir(paths, "one"))]).toEqual(["first", "before"]);
    await restore("two", "second");
    expect([dataOf(paths.data), dataOf(replacedDataDir(paths, "two"))]).toEqual(["second", "first"]);
    expect(readdirSync(paths.directory).sort()).toEqual(["data", "data.replaced-two"]);
  });

  it("is untouched when the program fails, with what it said", async () => {
    script('mkdir -p "$1"; echo "Error: wrong token" >&2; exit 1');
    await expect(restore("one", "x")).rejects.toThrow(/present data is untouched\nError: wrong token/);
    expect([dataOf(paths.data), readdirSync(paths.directory)]).toEqual(["before", ["data"]]);
  });

  it("is replaced once by a call that is repeated: what was there before is what is kept", async () => {
    await restore("one", "first");
    await restore("one", "first");
    expect([dataOf(paths.data), dataOf(replacedDataDir(paths, "one"))]).toEqual(["first", "before"]);
  });

  it.each<[string, () => void]>([
    ["while the program wrote", () => mkdirSync(join(paths.directory, "data.restoring-1-a"))],
    [
      "between the two renames",
      () => {
        mkdirSync(replacedDataDir(paths, "one"));
        writeFileSync(join(replacedDataDir(paths, "one"), "from"), "before");
        rmSync(paths.data, { recursive: true });
        mkdirSync(join(paths.directory, "data.restoring-1-a"));
      },
    ],
  ])("is complete after a call that died %s", async (_, leave) => {
    leave();
    await restore("one", "first");
    expect([dataOf(paths.data), dataOf(replacedDataDir(paths, "one"))]).toEqual(["first", "before"]);
    expect(readdirSync(paths.directory).sort()).toEqual(["data", "data.replaced-one"]);
  });

  it("is not mixed with that of a program which outlived the call before", async () => {
    script('mkdir -p "$1"; sleep 0.5; cp "$2" "$1/from"');
    const [one, other] = await Promise.allSettled([restore("one", "first"), restore("one", "first")]);
    expect([one.status, other.status]).toContain("fulfilled");
    expect(dataOf(paths.data)).toBe("first");
  });

  it("is not there without a program", async () => {
    rmSync(program);
    await expect(restore("one", "x")).rejects.toThrow(/there is neither/);
    expect(existsSync(join(paths.data, "from"))).toBe(true);
  });
});
