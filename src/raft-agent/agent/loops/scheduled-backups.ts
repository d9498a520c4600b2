/**
 * The backups that members take by themselves: at the start of each interval of the wall clock, one member sends a snapshot of its
 * store to a writer, which is a process of its own. Its view of the store is consistent, and holds no write up.
 */
import type { Logger } from "pino";
import type { Clock } from "../../../base/clock.ts";
import { errorText } from "../../../base/haplan-error.ts";
import type { BackupSchedule } from "../../config/backup-schedule.ts";
import { snapshotBytes } from "../../etcd-snapshot/snapshot-bytes.ts";
import type { MeasuredBackup } from "../../metrics/backup-metrics.ts";
import type { MemberId } from "../../raft/entry.ts";
import type { MemberServices } from "../../services/member-services.ts";
import type { PeerTransport } from "../../transport/peer-transport.ts";
import type { AgentEvents } from "../agent-events.ts";
import { backupMember } from "./backup-member.ts";

export type TakenBackup = MeasuredBackup & { readonly path: string };

/** Writes backups of the schedule's cluster into its directory. */
export type BackupWriter = {
  /** The newest one of the directory, from before this process was started. */
  newest(): TakenBackup | null;
  /** Verifies it, and removes those beyond the retention. @throws if it could not be written; nothing is kept then */
  write(snapshot: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<TakenBackup>;
};

type Parts = {
  readonly schedule: BackupSchedule;
  readonly writer: BackupWriter;
  readonly services: MemberServices;
  readonly transport: Pick<PeerTransport, "isConnected">;
  readonly voters: () => readonly MemberId[];
  readonly clock: Pick<Clock, "now">;
  readonly events: AgentEvents;
  readonly logger: Logger;
};

export class ScheduledBackups {
  readonly #parts: Parts;
  readonly #stopped = new AbortController();
  #interval: number;
  #underWay: Promise<void> | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#interval = this.#currentInterval();
    const newest = parts.writer.newest();
    if (newest !== null) parts.events.emit("backupTaken", parts.schedule.cluster, newest);
  }

  /** Called a few times per second. */
  tick(): void {
    const interval = this.#currentInterval();
    if (interval === this.#interval || this.#underWay !== null) return;
    this.#interval = interval;
    if (!this.#isMine(interval)) return;
    this.#underWay = this.#take().finally(() => {
      this.#underWay = null;
    });
  }

  /** Resolves once nothing reads the store. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#underWay;
  }

  #currentInterval(): number {
    return Math.floor(this.#parts.clock.now() / this.#parts.schedule.intervalMs);
  }

  #isMine(interval: number): boolean {
    const { services, transport, voters } = this.#parts;
    const { consensus } = services.context;
    const leader = consensus.leader();
    // Without one, the store may be behind what clients have been told.
    if (leader === null) return false;
    const self = consensus.memberId;
    const isConnected = (member: MemberId): boolean => transport.isConnected(member);
    return backupMember({ interval, self, voters: voters(), leader, isConnected }) === self;
  }

  async #take(): Promise<void> {
    const { schedule, services, writer, events, logger } = this.#parts;
    const { signal } = this.#stopped;
    const view = await services.machine.store.view();
    try {
      const { chunks } = await snapshotBytes(view, () => nextTurn(signal));
      const backup = await writer.write(chunks, signal);
      const { path, fileBytes, keys, revision } = backup;
      events.emit("backupTaken", schedule.cluster, backup);
      logger.info({ path, "file-bytes": fileBytes, keys, revision }, "took a backup");
    } catch (error) {
      if (signal.aborted) return;
      events.emit("backupFailed", schedule.cluster);
      logger.error({ error: errorText(error) }, "could not take a backup");
    } finally {
      view.close();
    }
  }
}

async function nextTurn(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}
