#!/usr/bin/env node
/** `haplan`: passes the production dependencies, runs one command, and exits with its exit code. */
import { systemClock } from "../../src/base/clock.ts";
import { packageVersion } from "../../src/base/package-dir.ts";
import { runHaplan } from "./run-haplan.ts";
import { StopRequests } from "./stop-requests.ts";
import { createTerminal } from "./terminal.ts";

const argv = process.argv.slice(2);
const terminal = createTerminal({ color: !argv.some((word) => /^--?no-color$/.test(word)) });
const stop = new StopRequests({
  leave: (code) => process.exit(code),
  say: terminal.printError,
  monotonicMs: systemClock.monotonicMs,
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.receive(signal));

let resultsAreLost = false;
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  const first = !terminal.closed();
  terminal.close();
  stop.outputLost(error.code ?? error.message);
  // A reader that closes the pipe early (`haplan plan | head`) is not an error; a full disk is.
  if (error.code === "EPIPE" || !first) return;
  resultsAreLost = true;
  process.exitCode = 1;
  terminal.printError(`Cannot write to standard output: ${error.message}`);
});
// Diagnostics that cannot be written are lost; the run continues.
process.stderr.on("error", () => {});

const code = await runHaplan(argv, {
  cwd: process.cwd(),
  terminal,
  clock: systemClock,
  loadDependencies: async () => (await import("./dependencies.ts")).productionDependencies,
  environment: process.env,
  version: ownVersion(),
  stop,
});
process.exitCode = resultsAreLost ? 1 : code;

function ownVersion(): string {
  try {
    return packageVersion();
  } catch {
    return "unknown";
  }
}
