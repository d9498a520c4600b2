/** Commands that are run once for a unit: short ones as children, long ones by the supervisor. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { makeDirDurably, writeFileDurably } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { type HostTask, type TaskReport, taskDirPlaceholder } from "../../units/host-task.ts";
import type { Supervisor, TaskRunner } from "../supervisor.ts";
import { listDir, type UnitPaths } from "./machine-dir.ts";
import { findExecutable } from "./programs.ts";

const runMs = 120_000;

export class UnitTasks {
  readonly #paths: UnitPaths;
  readonly #supervisor: Supervisor;
  readonly #pathOf: (path: string) => string;

  /** `pathOf`: where an absolute path of the machine is. */
  constructor(paths: UnitPaths, supervisor: Supervisor, pathOf: (path: string) => string) {
    this.#paths = paths;
    this.#supervisor = supervisor;
    this.#pathOf = pathOf;
  }

  /** @throws HaplanError `provider/task-failed` with what it wrote */
  async run(task: HostTask): Promise<string> {
    const directory = this.#supervisor.tasks?.makeDirectory(this.#paths, task.name) ?? temporaryDirectory();
    try {
      const [file = "", ...given] = wordsOf(task, directory);
      writeFiles(task, directory);
      const result = await execa(file, given, { reject: false, timeout: runMs, stdin: "ignore", cwd: "/" });
      if (!result.failed) return result.stdout;
      const why = result.stderr || result.shortMessage;
      throw new HaplanError("provider/task-failed", `${task.command} failed (${task.name}): ${why}`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  async start(task: HostTask): Promise<void> {
    const tasks = this.#runner();
    const { state } = await this.report(task);
    if (state === "running" || state === "done") return;
    const directory = tasks.makeDirectory(this.#paths, task.name);
    const words = wordsOf(task, directory);
    writeFiles(task, directory);
    makeDirDurably(this.#directory);
    rmSync(this.#markOf(task, "done"), { force: true });
    writeFileDurably(this.#markOf(task, "begun"), "");
    await tasks.start(this.#paths, task.name, { words, directory, markFile: this.#markOf(task, "done") });
  }

  async report(task: HostTask): Promise<TaskReport> {
    if (!existsSync(this.#markOf(task, "begun"))) return { state: "absent", output: "" };
    const { running, output } = await this.#runner().report(this.#paths, task.name);
    if (running) return { state: "running", output };
    const stands = task.doneWhile === undefined || existsSync(this.#pathOf(task.doneWhile));
    if (!existsSync(this.#markOf(task, "done"))) return { state: "failed", output };
    // What it made was removed since: it is as if it had never been.
    return { state: stands ? "done" : "absent", output };
  }

  /** Names of the tasks that were started. */
  begun(): readonly string[] {
    return listDir(this.#directory).flatMap((file) =>
      file.endsWith(".begun") ? [file.slice(0, -".begun".length)] : [],
    );
  }

  get #directory(): string {
    return join(this.#paths.directory, "tasks");
  }

  #markOf({ name }: HostTask, mark: "begun" | "done"): string {
    return join(this.#directory, `${name}.${mark}`);
  }

  #runner(): TaskRunner {
    const { tasks } = this.#supervisor;
    if (tasks !== null) return tasks;
    throw new HaplanError("provider/no-tasks", "Tasks that go on without haplan need a host with systemd");
  }
}

function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), "haplan-task-"));
}

function writeFiles({ files }: HostTask, directory: string): void {
  for (const { path, content, mode } of files) writeFileSync(join(directory, path), content, { mode });
}

/** @throws HaplanError `provider/program-missing` */
function wordsOf({ command, arguments: given }: HostTask, directory: string): readonly string[] {
  const executable = findExecutable({ kind: "system", command }, "");
  if (executable === null) throw new HaplanError("provider/program-missing", `There is no program "${command}"`);
  return [executable.file, ...given.map((word) => word.replaceAll(taskDirPlaceholder, directory))];
}
