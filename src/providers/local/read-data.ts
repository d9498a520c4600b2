/** Reads the data of a machine's member with a program. The member's files stay as they are. */
import { execa } from "execa";
import { HaplanError } from "../../base/haplan-error.ts";
import { exportPlaceholder } from "../../units/data-command.ts";
import { dataDirPlaceholder } from "../../units/unit-definition.ts";
import type { ReadDataRequest } from "../restore-data.ts";
import type { MachinePaths } from "./machine-dir.ts";
import { findExecutable } from "./programs.ts";

/** As long as a restore may take. */
const readMs = 3_600_000;
const errorLinesMax = 10;
/** What `haplan-agent data` writes before it ends with exit code 1. */
const dataErrorPrefix = "Error: ";
const damageSignals = ["SIGBUS", "SIGSEGV", "SIGABRT"];

export type ReadData = {
  readonly paths: MachinePaths;
  readonly request: ReadDataRequest;
  readonly programsDir: string;
  /** The file that the command writes; null if it writes none. */
  readonly file: string | null;
};

/** Returns what the program printed. @throws HaplanError `provider/data-unreadable` with what it wrote to standard error */
export async function readData({ paths, request, programsDir, file }: ReadData): Promise<string> {
  const { command } = request;
  const executable = findExecutable(command.program, programsDir);
  if (executable === null) {
    throw new HaplanError("provider/program-missing", `Cannot read the data: there is no ${command.program.command}`);
  }
  const words = command.arguments.map((word) =>
    word.replaceAll(dataDirPlaceholder, paths.data).replaceAll(exportPlaceholder, file ?? ""),
  );
  const { failed, stdout, stderr, shortMessage, exitCode, signal } = await execa(
    executable.file,
    [...executable.leadingArguments, ...words],
    { reject: false, timeout: readMs, stdin: "ignore" },
  );
  if (!failed) return stdout;
  const said = (stderr || shortMessage || "").trimEnd().split("\n").slice(-errorLinesMax).join("\n");
  // A program that did not get to the data says nothing of it. Reading a store that is damaged may kill it.
  const isOfData = (exitCode === 1 && stderr.startsWith(dataErrorPrefix)) || damageSignals.includes(signal ?? "");
  if (!isOfData) throw new HaplanError("provider/program-failed", `Cannot read the data\n${said}`);
  throw new HaplanError(
    "provider/data-unreadable",
    said.slice(said.startsWith(dataErrorPrefix) ? dataErrorPrefix.length : 0),
  );
}
