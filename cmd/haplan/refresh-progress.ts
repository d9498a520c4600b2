/** Shows, on a terminal, which members haplan still waits for once a refresh takes more than a second. */
import type { ProbeListener } from "../../src/control-plane/control-plane.ts";
import type { State } from "../../src/plan/state.ts";
import type { CliContext } from "./cli-context.ts";
import { seconds } from "./views/live-status.ts";

const quietMs = 1000;
const repaintMs = 500;
const shownMax = 8;

/** Runs `look`, which reports each member that it calls. */
export async function withRefreshProgress<Result>(
  { terminal, reporter, clock }: Pick<CliContext, "terminal" | "reporter" | "clock">,
  state: State | null,
  look: (onProbe: ProbeListener) => Promise<Result>,
): Promise<Result> {
  const pending = new Set<string>();
  const onProbe: ProbeListener = (endpoint, ended) => {
    if (ended) pending.delete(endpoint);
    else pending.add(endpoint);
  };
  if (!terminal.live || reporter.json) return look(onProbe);
  const names = memberNames(state);
  const startedMs = clock.monotonicMs();
  const done = new AbortController();
  const paint = async (): Promise<void> => {
    for (let pauseMs = quietMs; ; pauseMs = repaintMs) {
      await clock.sleep(pauseMs, done.signal);
      const waited = seconds(clock.monotonicMs() - startedMs);
      const members = [...pending].sort().slice(0, shownMax);
      terminal.showStatus([
        `Refreshing... ${terminal.paint.dim(`(${waited})`)}`,
        ...members.map(
          (endpoint) => `  ${[names.get(endpoint), endpoint].filter(Boolean).join(" at ")} has not answered yet`,
        ),
      ]);
    }
  };
  const painting = paint().catch(() => {});
  try {
    return await look(onProbe);
  } finally {
    done.abort();
    await painting;
    terminal.showStatus([]);
  }
}

function memberNames(state: State | null): ReadonlyMap<string, string> {
  const members = (state?.resources ?? []).filter((resource) => resource.type === "haplan_raft_member");
  return new Map(members.map(({ name, attributes }) => [String(attributes["clientUrl"]), name]));
}
