/**
 * The port to what runs a unit's process: processes of haplan's own that outlive it, or an init such as systemd. The provider
 * keeps the unit's files and its record; the supervisor keeps it running.
 */

import type { UnitCapability, UnitDefinition } from "../units/unit-definition.ts";
import type { LogEntry, LogRequest } from "./log-entry.ts";
import type { UnitFault } from "./provider.ts";

export type UnitPlace = {
  /** The cluster's directory. */
  readonly root: string;
  /** Name of the machine's directory, such as `m1` or `m1@2`. */
  readonly machine: string;
  readonly unit: string;
  /** The unit's own directory, and its files in it. */
  readonly directory: string;
  readonly files: string;
};

export type ProcessRequest = {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly program: UnitDefinition["program"];
  /** `host:port` it is going to listen on. */
  readonly listens: readonly string[];
  readonly reloadSignal: "SIGHUP" | "SIGUSR2" | null;
  /** Privileges of a process that is not root's. */
  readonly capabilities: readonly UnitCapability[];
  /** Directories besides the machine's data that the unit writes to. Absent: none. */
  readonly directories?: readonly string[];
  /** The machine's data, which the unit may write to. */
  readonly dataDir: string;
  /** Whether it shows by listening that it is up; null where that cannot be told. */
  readonly isUp: (() => boolean) | null;
};

/** Owners of a unit's files and directories, where they are not those of the user that runs haplan. */
export type UnitOwner = { readonly userId: number; readonly groupId: number };

export type RunningUnit = { readonly pid: number };

export type LogLine = Pick<LogEntry, "timeMs" | "message">;
export type LogSelection = Omit<LogRequest, "unit">;

export type TaskCommand = {
  /** The command, with the directory of its files filled in. */
  readonly words: readonly string[];
  /** Removed when it has ended. */
  readonly directory: string;
  /** Created when it has succeeded. */
  readonly markFile: string;
};

export type TaskRunner = {
  /** A directory for a task's files, in memory where there is one. */
  makeDirectory(place: UnitPlace, task: string): string;
  /** Starts it, unless it is running. */
  start(place: UnitPlace, task: string, command: TaskCommand): Promise<void>;
  /** Whether its processes run, and the last lines of what they wrote. */
  report(place: UnitPlace, task: string): Promise<{ readonly running: boolean; readonly output: string }>;
};

export type Supervisor = {
  /** Its living process, or null. */
  find(place: UnitPlace): Promise<RunningUnit | null>;
  /** Makes what units of this cluster need, and says which user owns their files; null: the one that writes them. */
  prepare(root: string): Promise<UnitOwner | null>;
  /** That user; null as well where there is none yet, or no more. */
  owner(): UnitOwner | null;
  /** Whether units run as a user of their own. */
  readonly hasOwnUser: boolean;
  /**
   * Starts a unit that does not run, and returns once it is up or has lived for a moment.
   * @throws HaplanError `provider/unit-exited` with the last lines of its log
   */
  start(place: UnitPlace, request: ProcessRequest): Promise<RunningUnit>;
  /** Files of its definition that were changed or removed by others: its unit file, the link that starts it when the host boots. */
  changedFiles(place: UnitPlace): Promise<readonly string[]>;
  /** Files of others that override its definition. They are the operator's, and stay. */
  overrides(place: UnitPlace): Promise<readonly string[]>;
  /** Makes its definition what it was started with, without touching its process. */
  redefine(place: UnitPlace, request: ProcessRequest): Promise<void>;
  /** Tells it to reload changed files. */
  reload(place: UnitPlace, signal: "SIGHUP" | "SIGUSR2"): Promise<void>;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves once it and all that it started are gone. */
  stop(place: UnitPlace, graceMs: number): Promise<void>;
  /**
   * Does a fault of a drill; what ends it is there before it begins, and needs neither haplan nor this process.
   * @throws HaplanError as `Provider.disturbUnit` does
   */
  disturb(place: UnitPlace, fault: UnitFault): Promise<void>;
  /** Forgets a unit that does not run. */
  remove(place: UnitPlace): Promise<void>;
  log(place: UnitPlace, lines: number): Promise<string>;
  /** Its log in the order of time; `"current"` once, after all that was logged before the call. */
  logs(place: UnitPlace, selection: LogSelection, signal: AbortSignal): AsyncIterable<LogLine | "current">;
  /** The directory that a running unit writes its own files to. */
  runtimeDir(place: UnitPlace): string;
  /** All units of this cluster that it knows or that run, whether their machine is there or not; the pid is null where one does not run. */
  units(root: string): Promise<readonly (UnitPlace & { readonly pid: number | null })[]>;
  /** Runs commands that go on without haplan; null where it cannot. */
  readonly tasks: TaskRunner | null;
  /** A machine has been removed: removes what was made for machines once there are none. */
  leave(root: string): Promise<void>;
};

/** How long a new process is watched for an instant end, when it does not show by listening that it is up. */
export const watchMs = { withListeners: 1500, withoutListeners: 300 } as const;
