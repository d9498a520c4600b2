/** A command that is run on a machine once, as root, on behalf of a unit. */
import type { UnitFile } from "./unit-definition.ts";

/** Placeholder in `arguments` for the directory of the task's files, which is in memory and is removed with the task. */
export const taskDirPlaceholder = "@TASK@";

export type HostTask = {
  /** Unique within the unit. */
  readonly name: string;
  /** A program on the machine's path. */
  readonly command: string;
  readonly arguments: readonly string[];
  /** Secrets go here and never into `arguments`. */
  readonly files: readonly UnitFile[];
  /** A task that was done counts as such only while this file exists; absent: it is done anew each time. */
  readonly doneWhile?: string;
};

/** `absent`: it was never started here. */
export type TaskState = "absent" | "running" | "done" | "failed";

/** `output`: the last lines of what it wrote. */
export type TaskReport = { readonly state: TaskState; readonly output: string };
