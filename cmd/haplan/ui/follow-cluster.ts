/** Follows a cluster for the page until it is stopped: its status, and the logs of its members as they come and go. */
import { errorText } from "../../../src/base/haplan-error.ts";
import type { CliContext } from "../cli-context.ts";
import { followSchedule, type WatchedSchedule } from "../follow-schedule.ts";
import { readTimeline } from "../read-timeline.ts";
import { RefusalError } from "../refusal.ts";
import type { Session } from "../session.ts";
import type { TimelineEvent } from "../timeline-events.ts";
import { isDown } from "../views/status-view.ts";
import { type WatchedStatus, watchStatus } from "../watch-status.ts";

export type FollowRequest = {
  readonly intervalMs: number;
  /** Of the timeline. */
  readonly sinceMs: number;
  readonly signal: AbortSignal;
  readonly onStatus: (watched: WatchedSchedule) => void;
  readonly onEvent: (event: TimelineEvent) => void;
  /** A look has failed; the next one comes after the interval. */
  readonly onTrouble: (text: string) => void;
};

export async function followCluster(context: CliContext, opened: Session, request: FollowRequest): Promise<void> {
  const { intervalMs, signal, onStatus, onTrouble } = request;
  const logs = new FollowedLogs(context, request);
  let session = opened;
  while (!signal.aborted) {
    try {
      for await (const watched of followSchedule(context, watchStatus(context, session, { intervalMs, signal }))) {
        session = watched.session;
        onStatus(watched);
        logs.follow(watched);
      }
    } catch (error) {
      if (!signal.aborted) onTrouble(troubleText(error));
      await context.clock.sleep(intervalMs, signal).catch(() => undefined);
    }
  }
  await logs.end();
}

function troubleText(error: unknown): string {
  if (!(error instanceof RefusalError)) return errorText(error);
  return error.diagnostics.map(({ summary }) => summary).join("; ");
}

type Reading = { readonly names: ReadonlySet<string>; readonly unread: Set<string>; stop(): Promise<void> };

/** The logs of the members that answer. One that could not be read, or of a new member, is read once that answers. */
class FollowedLogs {
  readonly #context: CliContext;
  readonly #request: FollowRequest;
  #reading: Reading | null = null;

  constructor(context: CliContext, request: FollowRequest) {
    this.#context = context;
    this.#request = request;
  }

  follow({ session, status }: WatchedStatus): void {
    const masters = new Set(session.spec.controlPlane.masters.map(({ name }) => name));
    const answering = status.members.filter(({ name, role }) => masters.has(name) && !isDown({ role }));
    const reading = this.#reading;
    const missing = answering.some(
      ({ name }) => reading === null || !reading.names.has(name) || reading.unread.has(name),
    );
    // Without any member the journal is still there.
    if (reading !== null && !missing) return;
    void reading?.stop();
    this.#reading = this.#start(session, masters);
  }

  async end(): Promise<void> {
    await this.#reading?.stop();
  }

  #start(session: Session, names: ReadonlySet<string>): Reading {
    const stopping = new AbortController();
    const unread = new Set<string>();
    const { sinceMs, onEvent, onTrouble } = this.#request;
    const read = async (): Promise<void> => {
      const onUnread = (name: string): void => void unread.add(name);
      const request = { sinceMs, follow: true, signal: stopping.signal, onUnread };
      for await (const event of readTimeline(this.#context, session, request)) onEvent(event);
    };
    const done = read().catch((error: unknown) => {
      if (!stopping.signal.aborted) onTrouble(troubleText(error));
    });
    return {
      names,
      unread,
      stop: () => {
        stopping.abort();
        return done;
      },
    };
  }
}
