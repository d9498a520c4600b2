/** Lets a unit's program check its new files in a directory of their own, before they replace those in force. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { UnitPaths } from "./machine-dir.ts";
import type { Executable } from "./programs.ts";
import type { FillIn } from "./unit-files.ts";

const checkTimeoutMs = 20_000;

/** Does nothing for a program that has no check. @throws HaplanError `provider/bad-unit-files` with what the program says */
export async function checkUnitFiles(
  paths: UnitPaths,
  unit: UnitDefinition,
  executable: Executable,
  fillInFor: (filesDir: string) => FillIn,
): Promise<void> {
  const { check } = unit;
  if (check === undefined) return;
  mkdirSync(dirname(paths.directory), { recursive: true });
  // Beside the unit's directory, which another user may read: some programs refuse scripts below one that others own.
  const staging = mkdtempSync(`${paths.directory}.check-`);
  const fillIn = fillInFor(staging);
  try {
    for (const { path, content, mode } of unit.files) {
      mkdirSync(dirname(join(staging, path)), { recursive: true });
      writeFileSync(join(staging, path), typeof content === "string" ? fillIn(content) : content, { mode });
    }
    const given = [...executable.leadingArguments, ...check.map(fillIn)];
    const options = { reject: false, all: true, timeout: checkTimeoutMs, cwd: staging, stdin: "ignore" } as const;
    const checked = await execa(executable.file, given, options);
    if (!checked.failed) return;
    const told = (checked.all ?? checked.shortMessage ?? "").replaceAll(staging, paths.files).trimEnd();
    throw new HaplanError(
      "provider/bad-unit-files",
      `${basename(executable.file)} rejects its new configuration, so the present one stays in force:\n${told}`,
    );
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}
