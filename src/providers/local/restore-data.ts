/**
 * Replaces a machine's data by that of a snapshot. The new data is made beside the present one, which is then moved away
 * and kept until the next restore: whatever is interrupted, the present data is complete in one place or the other, and
 * the same call again finishes the work.
 */
import { randomUUID } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { syncDir } from "../../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { snapshotPlaceholder } from "../../units/restore-command.ts";
import { dataDirPlaceholder } from "../../units/unit-definition.ts";
import type { RestoreDataRequest } from "../restore-data.ts";
import type { UnitOwner } from "../supervisor.ts";
import { giveTo } from "./data-owner.ts";
import { listDir, type MachinePaths } from "./machine-dir.ts";
import { type Executable, findExecutable } from "./programs.ts";

/** A restore of etcd's largest recommended database, 8 GiB, takes minutes. */
const restoreMs = 3_600_000;
const errorLinesMax = 10;

const restoringPrefix = "data.restoring-";
const replacedPrefix = "data.replaced-";

/** The directory of the data that the restore `id` has replaced. */
export function replacedDataDir({ directory }: MachinePaths, id: string): string {
  return join(directory, `${replacedPrefix}${id}`);
}

export type RestoreData = {
  readonly paths: MachinePaths;
  readonly request: RestoreDataRequest;
  readonly programsDir: string;
  /** Of the data; null: the user that runs haplan. */
  readonly owner: UnitOwner | null;
};

/** The machine's agent does not run. @throws HaplanError `provider/restore-failed`; the present data is untouched then */
export async function restoreData({ paths, request, programsDir, owner }: RestoreData): Promise<void> {
  const { directory, data } = paths;
  // A program that outlived an interrupted call may still write to a directory of its own.
  removeEntries(directory, (entry) => entry.startsWith(restoringPrefix));
  const made = join(directory, `${restoringPrefix}${process.pid}-${randomUUID()}`);
  const replaced = replacedDataDir(paths, request.id);
  await runRestore(request, programsDir, made);
  if (owner !== null) giveTo(made, owner);
  syncDir(made);
  // The data that an interrupted call has made is not kept: only that which was there before.
  if (existsSync(replaced)) rmSync(data, { recursive: true, force: true });
  else if (existsSync(data)) renameSync(data, replaced);
  renameSync(made, data);
  syncDir(directory);
  removeEntries(directory, (entry) => entry.startsWith(replacedPrefix) && join(directory, entry) !== replaced);
}

/** What is still written to is removed by the next restore, or with the machine. */
function removeEntries(directory: string, isLeft: (entry: string) => boolean): void {
  for (const entry of listDir(directory).filter(isLeft)) {
    try {
      rmSync(join(directory, entry), { recursive: true, force: true });
    } catch (error) {
      if (systemErrorCode(error) !== "ENOTEMPTY") throw error;
    }
  }
}

async function runRestore({ command, snapshot }: RestoreDataRequest, programsDir: string, made: string): Promise<void> {
  const executable = firstOf(command.programs.map((program) => findExecutable(program, programsDir)));
  if (executable === null) {
    const names = command.programs.map((program) => program.command).join(" nor ");
    throw new HaplanError("provider/program-missing", `Cannot restore the data: there is neither ${names}`);
  }
  const words = command.arguments.map((word) =>
    word.replaceAll(dataDirPlaceholder, made).replaceAll(snapshotPlaceholder, snapshot),
  );
  const result = await execa(executable.file, [...executable.leadingArguments, ...words], {
    reject: false,
    timeout: restoreMs,
    stdin: "ignore",
    env: command.environment,
  });
  if (!result.failed) return;
  rmSync(made, { recursive: true, force: true });
  const text = result.stderr || result.stdout || result.shortMessage || "";
  const said = text.trimEnd().split("\n").slice(-errorLinesMax);
  throw new HaplanError(
    "provider/restore-failed",
    `Cannot restore the data; the member's present data is untouched\n${said.join("\n")}`,
  );
}

function firstOf(found: readonly (Executable | null)[]): Executable | null {
  return found.find((each) => each !== null) ?? null;
}
