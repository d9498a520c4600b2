/**
 * etcd's log, read from its files without changing them: which entries it has, and what it knows to be committed. Source: etcd
 * server/storage/wal/wal.go, `ReadAll`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatMemberId } from "../base/member-id.ts";
import { emptyBytes, WireError, WireReader } from "../raft-agent/api/wire.ts";
import { type RecordsEnd, RecordType, readRecords, type WalRecord } from "./wal-records.ts";

export type EtcdHardState = { readonly term: number; readonly vote: bigint; readonly commitIndex: number };

/** A change of the membership. `kind`: `raftpb.ConfChangeType`. */
export type ConfigurationChange = { readonly index: number; readonly kind: number; readonly memberId: string };

export type EtcdLog = {
  readonly memberId: string;
  readonly clusterId: string;
  readonly hardState: EtcdHardState;
  /** The first entry in the files; those before are in the database alone. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly changes: readonly ConfigurationChange[];
  /** The last file, and how its records end. */
  readonly end: RecordsEnd & { readonly file: string };
  /** Why the log does not hold what was written to it; null if it does. A record that a crash has cut was never acknowledged. */
  readonly damage: string | null;
};

const entryKind = { normal: 0, change: 1, changes: 2 } as const;

/** Null if there is no log. @throws the system's error */
export function readEtcdWal(directory: string): EtcdLog | null {
  const files = walFiles(directory);
  if (files.length === 0) return null;
  const content = new LogContent();
  let crc = 0;
  for (const [at, file] of files.entries()) {
    const faults: string[] = [];
    const take = (record: WalRecord): void => {
      try {
        content.take(record);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        faults.push(error.message);
      }
    };
    const end = readRecords(readFileSync(join(directory, file)), crc, take);
    crc = end.crc;
    const isLast = at === files.length - 1;
    const fault = faults[0] ?? (end.fault === null || (isLast && end.fault.torn) ? null : end.fault.text);
    if (fault !== null || isLast) {
      const damage = fault ?? content.damage ?? missingFile(files);
      return {
        ...content.facts(),
        end: { ...end, file },
        damage: damage === null ? null : `its log ${file}: ${damage}`,
      };
    }
  }
  return null;
}

/** By their sequence number. Files that were only prepared end in .tmp. */
function walFiles(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => /^[0-9a-f]{16}-[0-9a-f]{16}\.wal$/.test(name))
    .sort();
}

function missingFile(files: readonly string[]): string | null {
  const numbers = files.map((name) => Number.parseInt(name.slice(0, 16), 16));
  const missing = numbers.find((number, at) => at > 0 && number !== numbers[at - 1]! + 1);
  return missing === undefined ? null : `the file before the one of number ${missing} is missing`;
}

/** What the records say, one after the other: later ones take the place of earlier ones. */
class LogContent {
  damage: string | null = null;
  #memberId = "";
  #clusterId = "";
  #hardState: EtcdHardState = { term: 0, vote: 0n, commitIndex: 0 };
  /** Terms of the entries from `#first` on. */
  #terms: number[] = [];
  #first = 1;
  #snapshot = { index: 0, term: 0 };
  #changes: ConfigurationChange[] = [];

  take({ type, data }: WalRecord): void {
    if (type === RecordType.metadata) this.#takeMetadata(data);
    else if (type === RecordType.entry) this.#takeEntry(data);
    else if (type === RecordType.state) this.#takeState(data);
    else if (type === RecordType.snapshot) this.#takeSnapshot(data);
    else throw new WireError(`a record has the unknown type ${type}`);
  }

  facts(): Omit<EtcdLog, "end" | "damage"> {
    const last = this.#first + this.#terms.length - 1;
    const isBehind = this.#terms.length === 0 || last < this.#snapshot.index;
    return {
      memberId: this.#memberId,
      clusterId: this.#clusterId,
      hardState: this.#hardState,
      firstIndex: this.#first,
      lastIndex: isBehind ? this.#snapshot.index : last,
      lastTerm: isBehind ? this.#snapshot.term : this.#terms.at(-1)!,
      changes: this.#changes,
    };
  }

  #takeMetadata(data: Uint8Array): void {
    const { 1: member = 0n, 2: cluster = 0n } = readNumbers(data);
    this.#memberId = formatMemberId(member);
    this.#clusterId = formatMemberId(cluster);
  }

  #takeState(data: Uint8Array): void {
    const { 1: term = 0n, 2: vote = 0n, 3: commit = 0n } = readNumbers(data);
    this.#hardState = { term: Number(term), vote, commitIndex: Number(commit) };
  }

  #takeSnapshot(data: Uint8Array): void {
    const { 1: index = 0n, 2: term = 0n } = readNumbers(data);
    if (Number(index) > this.#snapshot.index) this.#snapshot = { index: Number(index), term: Number(term) };
  }

  /** An entry at an index that the log has already takes its place, and that of all behind it. */
  #takeEntry(data: Uint8Array): void {
    const { numbers, bytes } = readFields(data);
    const { 1: kind = 0n, 2: term = 0n, 3: at = 0n } = numbers;
    const index = Number(at);
    const next = this.#first + this.#terms.length;
    if (this.#terms.length === 0 || (index > next && index === this.#snapshot.index + 1)) {
      this.#first = index;
      this.#terms = [];
    } else if (index > next) this.damage ??= `entry ${index} follows entry ${next - 1}`;
    else if (index < this.#first) this.#first = index;
    this.#terms.length = Math.max(0, Math.min(this.#terms.length, index - this.#first));
    this.#terms.push(Number(term));
    this.#changes = this.#changes.filter((change) => change.index < index);
    if (Number(kind) !== entryKind.normal) this.#takeChange(index, Number(kind), bytes[4] ?? emptyBytes);
  }

  /** etcd's server writes one change an entry (`raftpb.ConfChange`). */
  #takeChange(index: number, kind: number, data: Uint8Array): void {
    if (kind !== entryKind.change) {
      this.damage ??= `entry ${index} changes the membership in a way that etcd does not write`;
      return;
    }
    const { 2: type = 0n, 3: member = 0n } = readNumbers(data);
    this.#changes.push({ index, kind: Number(type), memberId: formatMemberId(member) });
  }
}

type Fields = {
  /** By the number of the field. */
  readonly numbers: { readonly [field: number]: bigint };
  readonly bytes: { readonly [field: number]: Uint8Array };
};

function readFields(data: Uint8Array): Fields {
  const numbers: { [field: number]: bigint } = {};
  const bytes: { [field: number]: Uint8Array } = {};
  const reader = new WireReader(data);
  while (reader.offset < data.length) {
    const tag = reader.tag();
    if ((tag & 7) === 0) numbers[tag >>> 3] = reader.bigUint64();
    else if ((tag & 7) === 2) bytes[tag >>> 3] = reader.view();
    else reader.skip(tag, 0);
  }
  return { numbers, bytes };
}

const readNumbers = (data: Uint8Array): Fields["numbers"] => readFields(data).numbers;
