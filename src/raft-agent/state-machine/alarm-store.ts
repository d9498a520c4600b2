/** Active alarms, per member and type, stored in the store's metadata. */
import type { Metadata } from "../mvcc/backend/backend.ts";
import type { MemberId } from "../raft/entry.ts";
import { type Alarm, AlarmType } from "./apply-result.ts";

const bucket = "alarm";
const empty = new Uint8Array(0);

export class AlarmStore {
  readonly #alarms = new Map<string, Alarm>();
  readonly #metadata: Metadata;
  // Read for every write, so it is cached.
  #noSpace = false;
  #corrupt = false;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  /** While active on any member, all members reject requests that need space. */
  get noSpace(): boolean {
    return this.#noSpace;
  }

  get corrupt(): boolean {
    return this.#corrupt;
  }

  /** `none` lists all types. Sorted by member and type. */
  list(type: AlarmType): Alarm[] {
    const alarms: Alarm[] = [];
    for (const alarm of this.#alarms.values()) if (type === AlarmType.none || alarm.type === type) alarms.push(alarm);
    return alarms.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  has(member: MemberId, type: AlarmType): boolean {
    return this.#alarms.has(keyOf({ member, type }));
  }

  activate(alarm: Alarm): void {
    this.#alarms.set(keyOf(alarm), alarm);
    this.#metadata.put(bucket, keyOf(alarm), empty);
    this.#summarize();
  }

  /** Returns false when it was not active. */
  deactivate(alarm: Alarm): boolean {
    if (!this.#alarms.delete(keyOf(alarm))) return false;
    this.#metadata.delete(bucket, keyOf(alarm));
    this.#summarize();
    return true;
  }

  load(): void {
    this.#alarms.clear();
    for (const [key] of this.#metadata.entries(bucket)) {
      const [member, type] = key.split("/");
      this.#alarms.set(key, { member: member ?? "", type: Number(type) as AlarmType });
    }
    this.#summarize();
  }

  #summarize(): void {
    this.#noSpace = this.list(AlarmType.noSpace).length > 0;
    this.#corrupt = this.list(AlarmType.corrupt).length > 0;
  }
}

function keyOf(alarm: Alarm): string {
  return `${alarm.member}/${alarm.type}`;
}
