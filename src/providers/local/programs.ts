/** Finds programs: haplan's own beside this file in the built tree, the system's on the path. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { execa } from "execa";
import { packageDir } from "../../base/package-dir.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";

export function builtProgramsDir(): string {
  return join(packageDir(), "dist", "cmd");
}

export type Executable = {
  readonly file: string;
  readonly leadingArguments: readonly string[];
  /** The program's own file: `file`, or what it interprets. */
  readonly program: string;
};

/** A program that a unit runs. */
export type UnitProgram = Exclude<UnitDefinition["program"], { readonly kind: "none" }>;

/** Null if the program does not exist. */
export function findExecutable(program: UnitProgram, programsDir: string): Executable | null {
  if (program.kind === "haplan") {
    const script = join(programsDir, program.command, "main.js");
    return existsSync(script) ? { file: runtimeOf(programsDir), leadingArguments: [script], program: script } : null;
  }
  const file = isAbsolute(program.command) ? executableAt(program.command) : findOnPath(program.command);
  return file === null ? null : { file, leadingArguments: [], program: file };
}

/** An artifact has a runtime of its own, which is replaced together with the programs. */
function runtimeOf(programsDir: string): string {
  const own = join(dirname(programsDir), "bin", "node");
  return existsSync(own) ? own : process.execPath;
}

/** Daemons are in sbin directories, which are not on every user's path. */
function findOnPath(command: string): string | null {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  for (const directory of directories.filter((each) => each !== "")) {
    const file = executableAt(join(directory, command));
    if (file !== null) return file;
  }
  return null;
}

function executableAt(file: string): string | null {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile() ? file : null;
  } catch {
    return null;
  }
}

const versionMs = 10_000;

/** The first version that the program prints with `--version`; null if it prints none. */
export async function versionOf(file: string): Promise<string | null> {
  const { stdout } = await execa(file, ["--version"], { reject: false, timeout: versionMs, stdin: "ignore" });
  return /\d+\.\d+\.\d+/.exec(stdout ?? "")?.[0] ?? null;
}
