/**
 * What a unit is started with, and is no longer there: its process runs on, but does not start again. Of an artifact that lists
 * its files, all of them count.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { installedFiles } from "../../base/host-paths.ts";
import type { UnitCommand, UnitRecord } from "./unit-files.ts";

/** Paths of its programs that are missing or have another size; where the whole artifact is gone, its directory. */
export function missingPrograms({ command }: Pick<UnitRecord, "command">): readonly string[] {
  if (command === undefined) return [];
  const artifact = artifactOf(command);
  if (artifact !== null && !existsSync(artifact)) return [artifact];
  const missing = [...new Set([command.file, command.program])].filter((path) => !existsSync(path));
  return missing.length > 0 || artifact === null ? missing : damagedFiles(artifact);
}

/** The directory of the artifact; null for a program of the system, and for one that is not run by a runtime beside it. */
function artifactOf({ file, program }: UnitCommand): string | null {
  const directory = dirname(dirname(file));
  return program.startsWith(`${directory}/cmd/`) ? directory : null;
}

/** None where the artifact has no list, such as one that an earlier version has installed. */
function damagedFiles(artifact: string): readonly string[] {
  const list = join(artifact, installedFiles);
  if (!existsSync(list)) return [];
  return readFileSync(list, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, size, path] = /^(\d+) \.\/(.+)$/.exec(line) ?? [];
      if (path === undefined) return [];
      const file = join(artifact, path);
      return statSync(file, { throwIfNoEntry: false })?.size === Number(size) ? [] : [file];
    });
}
