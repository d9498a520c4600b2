/** Runs a process with haplan's own terminal: it reads from it, writes to it, and gets its signals. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { HaplanError, systemErrorCode } from "../../src/base/haplan-error.ts";
import type { ShellProcess } from "../../src/providers/provider.ts";
import type { StopRequests } from "./stop-requests.ts";

/** The exit code of another program, 0 to 255. */
export type ForeignExitCode = number & { readonly [foreign]: true };
declare const foreign: unique symbol;

export type RunInTerminal = (process: ShellProcess, stop: StopRequests) => Promise<ForeignExitCode>;

/** A process that a signal ended has 128 plus its number, as in a shell. */
const signalExitBase = 128;

/** @throws HaplanError `cli/no-program` */
export const runInTerminal: RunInTerminal = ({ file, arguments: given, directory }, stop) => {
  const child = spawn(file, given, { stdio: "inherit", ...(directory === null ? {} : { cwd: directory }) });
  // Ctrl-C reaches the process by itself: both are in the terminal's foreground process group.
  const forward = (request: string): void => {
    if (request === "SIGTERM" || request === "SIGHUP") child.kill(request);
  };
  return stop.handleWith(
    forward,
    () =>
      new Promise((resolve, reject) => {
        child.once("error", (error) =>
          reject(systemErrorCode(error) === "ENOENT" ? new HaplanError("cli/no-program", noProgram(file)) : error),
        );
        child.once("close", (code, signal) =>
          resolve((code ?? signalExitBase + (signal === null ? 0 : constants.signals[signal])) as ForeignExitCode),
        );
      }),
  );
};

function noProgram(file: string): string {
  return `There is no program "${file}"\nIt is looked for on the PATH.`;
}
