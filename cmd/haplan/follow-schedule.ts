/**
 * How the last backup of the schedule ended, beside each look of `status -watch` and of the page. It is in the logs of the members,
 * which are read once in a while: no host is asked for them at each look.
 */
import type { CliContext } from "./cli-context.ts";
import { lastScheduled } from "./scheduled-backups.ts";
import type { Session } from "./session.ts";
import type { StatusChange } from "./status-changes.ts";
import type { LastScheduled } from "./views/scheduled-view.ts";
import type { WatchedStatus } from "./watch-status.ts";

const rereadMs = 30_000;

/** `scheduled`: null without a schedule. */
export type WatchedSchedule = WatchedStatus & { readonly scheduled: LastScheduled | null };

/** The first look waits for the logs; the others have what was read before. */
export async function* followSchedule(
  context: CliContext,
  looks: AsyncIterable<WatchedStatus>,
): AsyncGenerator<WatchedSchedule> {
  const schedule = new ReadSchedule(context);
  let before: LastScheduled | null = null;
  for await (const look of looks) {
    const scheduled = await schedule.at(look.session);
    yield { ...look, scheduled, changes: [...look.changes, ...scheduleChanges(before, scheduled)] };
    before = scheduled;
  }
}

class ReadSchedule {
  readonly #context: CliContext;
  #session: Session | null = null;
  #readAtMs = 0;
  #reading: Promise<void> | null = null;
  #last: LastScheduled | null = null;

  constructor(context: CliContext) {
    this.#context = context;
  }

  async at(session: Session): Promise<LastScheduled | null> {
    const { clock } = this.#context;
    const isDue = session !== this.#session || clock.monotonicMs() - this.#readAtMs >= rereadMs;
    if (isDue && this.#reading === null) this.#reading = this.#read(session);
    if (session !== this.#session) await this.#reading;
    return this.#last;
  }

  async #read(session: Session): Promise<void> {
    // What cannot be read now is read the next time: the status goes on.
    this.#last = await lastScheduled(this.#context, session).catch(() => this.#last);
    this.#session = session;
    this.#readAtMs = this.#context.clock.monotonicMs();
    this.#reading = null;
  }
}

/** Nothing at the first look, and nothing when the same backup was read again. */
function scheduleChanges(before: LastScheduled | null, after: LastScheduled | null): readonly StatusChange[] {
  const outcome = after?.outcome ?? null;
  if (before === null || outcome === null || outcome.timeMs === before.outcome?.timeMs) return [];
  const { member, failure } = outcome;
  const text = failure === null ? `${member} took a backup` : `${member} could not take a backup: ${failure}`;
  return [{ kind: "backup", subject: member, text }];
}
