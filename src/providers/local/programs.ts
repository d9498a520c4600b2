/** Finds programs: haplan's own beside this file in the built tree, the system's on the path. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { packageDir } from "../../base/package-dir.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";

export function builtProgramsDir(): string {
  return join(packageDir(), "dist", "cmd");
}

export type Executable = { readonly file: string; readonly leadingArguments: readonly string[] };

/** Null if the program does not exist. */
export function findExecutable(program: UnitDefinition["program"], programsDir: string): Executable | null {
  if (program.kind === "haplan") {
    const script = join(programsDir, program.command, "main.js");
    return existsSync(script) ? { file: runtimeOf(programsDir), leadingArguments: [script] } : null;
  }
  const file = findOnPath(program.command);
  return file === null ? null : { file, leadingArguments: [] };
}

/** An artifact has a runtime of its own, which is replaced together with the programs. */
function runtimeOf(programsDir: string): string {
  const own = join(dirname(programsDir), "bin", "node");
  return existsSync(own) ? own : process.execPath;
}

/** Daemons are in sbin directories, which are not on every user's path. */
function findOnPath(command: string): string | null {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  for (const directory of directories) {
    const file = join(directory, command);
    try {
      accessSync(file, constants.X_OK);
      if (directory !== "" && statSync(file).isFile()) return file;
    } catch {
      // Not here.
    }
  }
  return null;
}
