/** Where programs are: haplan's own beside this file in the built tree, the system's on the path. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import { packageFolder } from "../package-folder.ts";

export function builtProgramsFolder(): string {
  return join(packageFolder(), "dist", "cmd");
}

export type Executable = { readonly file: string; readonly leadingArguments: readonly string[] };

/** Null when the program is not there. */
export function findExecutable(program: UnitDefinition["program"], programsFolder: string): Executable | null {
  if (program.kind === "haplan") {
    const script = join(programsFolder, program.command, "main.js");
    return existsSync(script) ? { file: process.execPath, leadingArguments: [script] } : null;
  }
  const file = findOnPath(program.command);
  return file === null ? null : { file, leadingArguments: [] };
}

/** Daemons live in sbin folders, which are not on every user's path. */
function findOnPath(command: string): string | null {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  for (const folder of folders) {
    const file = join(folder, command);
    try {
      accessSync(file, constants.X_OK);
      if (folder !== "" && statSync(file).isFile()) return file;
    } catch {
      // Not here.
    }
  }
  return null;
}
