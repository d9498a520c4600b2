import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { Provider } from "../provider.ts";
import { createLocalProvider } from "./local-provider.ts";

/** The shell as a program that can check its files: `sh -n`. */
const unitWith = (script: string): UnitDefinition => ({
  name: "probe",
  program: { kind: "system", command: "sh" },
  arguments: ["@UNIT@/script"],
  environment: {},
  files: [{ path: "script", content: script, mode: 0o600 }],
  listens: [],
  reload: { signal: null, files: ["script"] },
  check: ["-n", "@UNIT@/script"],
});
const works = "while sleep 0.1; do :; done\n";
const broken = "while sleep 0.1; do\n";

let root: string;
let provider: Provider;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "haplan-check-"));
  provider = createLocalProvider({ root });
  await provider.createMachine({ name: "m1", address: "127.0.1.1", zone: null, lineage: "l", generation: 1 });
});
afterEach(async () => {
  await provider.destroyMachine("m1");
  rmSync(root, { recursive: true, force: true });
});

describe("a unit whose program checks its files", () => {
  it("keeps those in force, and runs on, when the program rejects new ones", async () => {
    const { pid } = await provider.startUnit("m1", unitWith(works));
    const { machines } = await provider.observe("l", []);
    await expect(provider.startUnit("m1", unitWith(broken))).rejects.toThrow(/^sh rejects its new configuration.*\n/);
    expect((await provider.observe("l", [])).machines).toEqual([{ ...machines[0], freeBytes: expect.any(Number) }]);
    expect(machines[0]?.units).toMatchObject([{ running: true, pid }]);
    expect(readFileSync(join(root, "machines/m1/units/probe/files/script"), "utf8")).toBe(works);
    // The next plan finds that the wanted files are not in force.
    await expect(provider.startUnit("m1", unitWith(broken))).rejects.toThrow("present one stays in force");
  });

  it("is not started with files that the program rejects, which leave no trace", async () => {
    const rejected = provider.startUnit("m1", unitWith(broken));
    await expect(rejected).rejects.toThrow(join(root, "machines/m1/units/probe/files/script"));
    expect(existsSync(join(root, "machines/m1/units/probe"))).toBe(false);
    expect(readdirSync(join(root, "machines/m1/units"))).toEqual([]);
  });
});
