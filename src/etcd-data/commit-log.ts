/** A copy of etcd's log in which all entries count as committed. */
import { appendFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { WireWriter } from "../raft-agent/api/wire.ts";
import type { EtcdLog } from "./read-wal.ts";
import { encodeRecord, RecordType } from "./wal-records.ts";

/** Adds the hard state behind the last whole record of `directory`, which has the files of `log`. */
export function commitWholeLog(directory: string, { end, hardState, lastIndex }: EtcdLog): void {
  const file = join(directory, end.file);
  // etcd clears what follows; a record that was cut would be behind the new one.
  truncateSync(file, end.offset);
  if (hardState.commitIndex >= lastIndex) return;
  const state = new WireWriter();
  state.intField(8, hardState.term);
  state.bigIntField(16, hardState.vote);
  state.intField(24, lastIndex);
  appendFileSync(file, encodeRecord(RecordType.state, state.view(), end.crc));
}
