/** `haplan watch [SPEC]`: keeps a cluster at its spec, as far as `repair:` of the spec allows it, until it is stopped. */
import type { CliContext, ExitCode } from "../cli-context.ts";
import { parseDuration } from "../duration.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import { watchCluster } from "../watch/watch-cluster.ts";

export type WatchFlags = { readonly interval: string; readonly json?: boolean };

/** Each look asks every host, and plans. */
const intervalMsMin = 500;

export async function runWatch(context: CliContext, spec: string | undefined, flags: WatchFlags): Promise<ExitCode> {
  const intervalMs = parseDuration("-interval", flags.interval);
  if (intervalMs < intervalMsMin)
    throw refuse(
      "cli/short-interval",
      `-interval=${flags.interval} is too short`,
      `Each look asks every member and host. Write at least ${intervalMsMin}ms.`,
    );
  const session = await openCluster(context, { spec });
  return context.stop.untilStopped(async (signal): Promise<ExitCode> => {
    await watchCluster(context, session, { intervalMs, signal });
    return 0;
  });
}
