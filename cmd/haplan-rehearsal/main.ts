#!/usr/bin/env node
/**
 * haplan as a rehearsal runs it in a copy of a cluster: the same commands, except that members reach each other through the
 * rehearsal's relay. With `warden DIRECTORY` it ends what a rehearsal has started, once that has ended.
 */
import { systemClock } from "../../src/base/clock.ts";
import { packageVersion } from "../../src/base/package-dir.ts";
import { localArtifact } from "../../src/providers/local/local-artifact.ts";
import { createLocalProvider } from "../../src/providers/local/local-provider.ts";
import { type LinkOptions, linkedProcesses, linkVariable } from "../../src/rehearse/linked-processes.ts";
import { guardRehearsal } from "../../src/rehearse/rehearsal-directory.ts";
import { productionDependencies } from "../haplan/dependencies.ts";
import { runHaplan } from "../haplan/run-haplan.ts";
import { StopRequests } from "../haplan/stop-requests.ts";
import { createTerminal } from "../haplan/terminal.ts";

const [verb, directory, ...rest] = process.argv.slice(2);
if (verb === "warden" && directory !== undefined && rest.length === 0) await guardRehearsal(directory);
else process.exitCode = await runInCopy();

async function runInCopy(): Promise<number> {
  const text = process.env[linkVariable];
  if (text === undefined) {
    console.error("haplan-rehearsal is started by haplan rehearse");
    return 1;
  }
  const link = JSON.parse(text) as LinkOptions;
  const terminal = createTerminal({ color: false });
  const stop = new StopRequests({
    leave: (code) => process.exit(code),
    say: terminal.printError,
    monotonicMs: systemClock.monotonicMs,
  });
  process.stdout.on("error", () => process.exit(1));
  process.stderr.on("error", () => undefined);
  return await runHaplan(process.argv.slice(2), {
    cwd: process.cwd(),
    terminal,
    clock: systemClock,
    loadDependencies: async () => ({
      ...productionDependencies,
      openProvider: async (options) =>
        createLocalProvider({
          root: options.directory,
          artifact: localArtifact(options),
          supervisor: linkedProcesses(link),
        }),
    }),
    environment: process.env,
    version: packageVersion(),
    stop,
  });
}
