/** Builds the programs of others that further tests run. A machine that cannot have one skips it and says why. */
import { describe, expect, it } from "vitest";
import { goProgram } from "./go-build.ts";
import { goClientBuild } from "./go-client.ts";

const buildMs = 900_000;

describe("programs of others", () => {
  it.each([goClientBuild])("are built from Go modules: $program", { timeout: buildMs }, async (what) => {
    const built = await goProgram(what, true);
    if ("missing" in built) return expect(built.missing).toMatch(/not installed|failed/);
    expect(built.path).toContain(what.program);
    // Once built, it is there for runs that do not build.
    expect(await goProgram(what, false)).toEqual(built);
  });
});
