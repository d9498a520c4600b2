/** `haplan status -watch`: looks again and again, and tells what changes, until it is stopped. */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { hasOtherStandIns } from "../../src/plan/stand-ins.ts";
import type { CliContext } from "./cli-context.ts";
import { loadSpecAt } from "./commands/validate.ts";
import { readStatus, type StatusReading } from "./read-status.ts";
import { type Session, type SessionOptions, sessionFor } from "./session.ts";
import { type StatusChange, statusChanges } from "./status-changes.ts";
import type { ClusterStatus } from "./views/status-view.ts";

export type WatchedStatus = StatusReading & {
  /** Since the look before; empty at the first. */
  readonly changes: readonly StatusChange[];
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  /** Of the spec that was in force at this look. */
  readonly session: Session;
};

/**
 * The status now, and then every `intervalMs`, until `signal` is aborted. The spec is read again when its file changes, and
 * when another spare host is in the place of a master.
 */
export async function* watchStatus(
  context: CliContext,
  opened: Session,
  { intervalMs, signal, ...options }: { readonly intervalMs: number; readonly signal: AbortSignal } & SessionOptions,
): AsyncGenerator<WatchedStatus> {
  let session = opened;
  let modifiedMs = modificationTime(context, session);
  let before: ClusterStatus | null = null;
  while (!signal.aborted) {
    let reading = await readStatus(context, session, options);
    const isRead = reading.status.stateUnread === null;
    if (isRead && hasOtherStandIns(session.spec, reading.state) && !signal.aborted) {
      session = await sessionFor(context, session, options);
      reading = await readStatus(context, session, options);
    }
    if (signal.aborted) return;
    const changes = before === null ? [] : statusChanges(before, reading.status);
    before = reading.status;
    yield { ...reading, changes, timeMs: context.clock.now(), session };
    await context.clock.sleep(intervalMs, signal).catch(() => undefined);
    const found = modificationTime(context, session);
    if (found === modifiedMs || signal.aborted) continue;
    modifiedMs = found;
    session = (await reopened(context, session, options)) ?? session;
  }
}

/** Null if it has no spec file, or that is not there at the moment. */
function modificationTime({ cwd }: CliContext, { specPath }: Session): number | null {
  if (specPath === null) return null;
  return statSync(resolve(cwd, specPath), { throwIfNoEntry: false })?.mtimeMs ?? null;
}

/** Null while the spec is edited and not valid, and for another cluster. */
async function reopened(
  context: CliContext,
  { specPath, spec: former }: Session,
  options: SessionOptions,
): Promise<Session | null> {
  if (specPath === null) return null;
  const { spec, sourceDigest } = await loadSpecAt(context, specPath);
  if (spec === null || spec.name !== former.name) return null;
  return sessionFor(context, { spec, specPath, specDigest: sourceDigest ?? "" }, options);
}
