#!/usr/bin/env node
/** `haplan`: puts the real rooms together, runs one command, and leaves with its exit code. */
import { readFileSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { runHaplan } from "./run-haplan.ts";
import { createTerminal } from "./terminal.ts";

const argv = process.argv.slice(2);
const stop = new AbortController();
/** Only verbs that change something have anything to finish. */
const changing = argv.some((word) => word === "apply" || word === "destroy");
const terminal = createTerminal({ colour: !argv.some((word) => /^--?no-color$/.test(word)) });
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (!changing) process.exit(1);
    if (stop.signal.aborted) {
      // The second one means it: the journal is valid at every moment.
      terminal.printError("\nStopped at once. To go on from here, run the same command again.");
      process.exit(1);
    }
    terminal.printError("\nStopping after what is under way; once more stops at once.");
    stop.abort();
  });
}
// A reader that has seen enough (`haplan plan | head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await runHaplan(argv, {
  cwd: process.cwd(),
  terminal,
  clock: systemClock,
  openRooms: async () => (await import("./rooms.ts")).realRooms,
  environment: process.env,
  version: ownVersion(),
  stop: stop.signal,
});

/** Beside the sources as beside the build: the nearest package.json above. */
function ownVersion(): string {
  for (let folder = new URL(".", import.meta.url); folder.pathname !== "/"; folder = new URL("..", folder)) {
    try {
      return (JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as { version: string }).version;
    } catch {}
  }
  return "unknown";
}
