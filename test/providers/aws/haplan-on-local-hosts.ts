/**
 * haplan's command line whose AWS is an emulator over HTTP, and whose instances are directories and processes of this machine. A
 * program of its own, so that a test can kill it: all that it has done is in the emulator and on the disk.
 */
import { join } from "node:path";
import { productionDependencies } from "../../../cmd/haplan/dependencies.ts";
import { runHaplan } from "../../../cmd/haplan/run-haplan.ts";
import { StopRequests } from "../../../cmd/haplan/stop-requests.ts";
import { createTerminal } from "../../../cmd/haplan/terminal.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { createLocalProvider } from "../../../src/providers/local/local-provider.ts";
import { MachineCalls } from "../../../src/providers/machine-calls.ts";
import type { Provider } from "../../../src/providers/provider.ts";
import type { ProviderOptions } from "../../../src/providers/provider-options.ts";
import { awsOver } from "./local-hosts.ts";

/** Whatever AWS does is done at once. */
const impatientClock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal): Promise<void> => systemClock.sleep(ms / 50, signal),
};

async function openProvider(options: ProviderOptions): Promise<Provider> {
  const local = createLocalProvider({ root: join(options.cwd, "hosts") });
  const calls = new MachineCalls({ ...options, limits: { machinesAtOnce: 10, callTimeoutMs: null } });
  return await awsOver(local, { ...options, clock: impatientClock, calls });
}

const terminal = createTerminal({ color: false });
process.exitCode = await runHaplan(process.argv.slice(2), {
  cwd: process.cwd(),
  terminal,
  clock: systemClock,
  loadDependencies: async () => ({ ...productionDependencies, openProvider }),
  environment: process.env,
  version: "0.0.0-test",
  stop: new StopRequests({
    leave: (code) => process.exit(code),
    say: terminal.printError,
    monotonicMs: systemClock.monotonicMs,
  }),
});
