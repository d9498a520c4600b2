/**
 * Builds the third-party programs that other tests run. A machine that cannot build one skips it and reports the
 * reason.
 */
import { describe, expect, it } from "vitest";
import { findEmulator } from "../providers/aws/emulator.ts";
import { type EtcdProgram, etcdBuild, etcdVersions } from "./etcd-programs.ts";
import { type GoBuild, goProgram } from "./go-build.ts";
import { goClientBuild } from "./go-client.ts";
import { findPythonClient } from "./python-client.ts";

const buildMs = 900_000;
const etcdPrograms: readonly EtcdProgram[] = ["etcd", "etcdctl", "etcdutl"];
const builds: readonly { readonly version: string; readonly what: GoBuild }[] = [
  { version: "ours", what: goClientBuild },
  ...etcdVersions.flatMap((version) => etcdPrograms.map((program) => ({ version, what: etcdBuild(version, program) }))),
];

describe("third-party programs", () => {
  it.for(builds)(
    "are built from Go modules: $what.program $version",
    { timeout: buildMs },
    async ({ what }, { skip }) => {
      const built = await goProgram(what, true);
      if ("missing" in built) {
        // A place in a source file is an error of the compiler. Everything else means a machine without Go or without
        // its modules.
        expect(built.missing).not.toMatch(/\.go:\d+:/);
        return skip(built.missing);
      }
      expect(built.path).toContain(what.program);
      // Once built, it is available to runs that do not build.
      expect(await goProgram(what, false)).toEqual(built);
    },
  );

  it("include a Python with a client of etcd", { timeout: buildMs }, async ({ skip }) => {
    const client = await findPythonClient(true);
    if ("missing" in client) return skip(client.missing);
    expect(await findPythonClient(false)).toMatchObject({ run: expect.any(Function) });
  });

  it("include an emulator of AWS", { timeout: buildMs }, async ({ skip }) => {
    const emulator = await findEmulator(true);
    if ("missing" in emulator) return skip(emulator.missing);
    expect(await findEmulator(false)).toEqual(emulator);
  });
});
