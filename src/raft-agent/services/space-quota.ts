/**
 * The space quota (etcd's `--quota-backend-bytes`). etcd counts the file, which never shrinks, and its NOSPACE alarm
 * stays until it is disarmed by hand. Here pages that are free for reuse do not count, and a member disarms its own
 * alarm once a tenth of the quota is free again.
 */

import type { Proposer } from "../consensus/proposer.ts";
import type { Store } from "../mvcc/store.ts";
import type { MemberId } from "../raft/entry.ts";
import type { AlarmStore } from "../state-machine/alarm-store.ts";
import { AlarmType } from "../state-machine/apply-result.ts";
import { CommandKind } from "../state-machine/command.ts";
import { AlarmAction, encodeAlarm } from "../state-machine/command-body.ts";

/** etcd's default. */
const defaultQuotaBytes = 2_147_483_648;
const clearBelow = 0.9;

/** etcd's estimate of the overhead of a put beside its key and value, and of a lease in total. */
export const putOverheadBytes = 256;
export const leaseBytes = 64;

export type SpaceQuotaOptions = {
  readonly member: MemberId;
  readonly store: Pick<Store, "size">;
  readonly alarms: AlarmStore;
  readonly proposer: Proposer;
  /** 0 = the default, negative = no limit. */
  readonly quotaBytes: number;
};

export class SpaceQuota {
  readonly #options: SpaceQuotaOptions;
  readonly quotaBytes: number;
  #inUseBytes: number;
  /** Taken since the backend was last measured. */
  #takenBytes = 0;
  #alarmProposed = false;

  constructor(options: SpaceQuotaOptions) {
    this.#options = options;
    this.quotaBytes = options.quotaBytes === 0 ? defaultQuotaBytes : options.quotaBytes;
    this.#inUseBytes = options.store.size().inUseBytes;
  }

  /** Takes `bytes`, or returns false and raises the alarm for the whole cluster. */
  take(bytes: number): boolean {
    if (this.quotaBytes < 0) return true;
    if (!this.#hasRoom(bytes)) this.#measure();
    if (this.#hasRoom(bytes)) {
      this.#takenBytes += bytes;
      return true;
    }
    this.#propose(AlarmAction.activate);
    return false;
  }

  /**
   * Called a few times per second, and when a client has freed space: measures again, and disarms its own alarm when
   * there is space.
   */
  tick(): void {
    if (this.quotaBytes < 0) return;
    this.#measure();
    const { alarms, member } = this.#options;
    if (this.#inUseBytes < this.quotaBytes * clearBelow && alarms.has(member, AlarmType.noSpace)) {
      this.#propose(AlarmAction.deactivate);
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#inUseBytes + this.#takenBytes + bytes < this.quotaBytes;
  }

  #measure(): void {
    this.#inUseBytes = this.#options.store.size().inUseBytes;
    this.#takenBytes = 0;
  }

  #propose(action: number): void {
    const { alarms, member, proposer } = this.#options;
    const isOn = alarms.has(member, AlarmType.noSpace);
    if (this.#alarmProposed || isOn === (action === AlarmAction.activate)) return;
    this.#alarmProposed = true;
    const body = encodeAlarm({ action, alarm: { member, type: AlarmType.noSpace } });
    proposer.propose(CommandKind.alarm, body, () => {
      this.#alarmProposed = false;
    });
  }
}
