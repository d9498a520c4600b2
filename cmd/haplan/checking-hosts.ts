/** Runs checks of hosts, which take a few seconds, and says so on a terminal. */
import type { CliContext } from "./cli-context.ts";
import { stoppedBeforeChange } from "./refusal.ts";

/** @throws RefusalError if the run was asked to stop meanwhile */
export async function checkingHosts<Result>(
  { terminal, reporter, stop }: Pick<CliContext, "terminal" | "reporter" | "stop">,
  check: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { signal } = stop;
  const isShown = terminal.live && !reporter.json;
  if (isShown) terminal.showStatus(["Checking hosts, and the network between them..."]);
  try {
    return await check(signal);
  } catch (error) {
    if (signal.aborted) throw stoppedBeforeChange(stop);
    throw error;
  } finally {
    if (isShown) terminal.showStatus([]);
  }
}
