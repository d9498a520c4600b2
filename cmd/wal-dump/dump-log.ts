/** Prints a write-ahead log as text, batch by batch, for diagnosing what a member has persisted. Changes nothing. */
import { inspect } from "node:util";
import { errorText } from "../../src/base/haplan-error.ts";
import { ByteReader } from "../../src/raft-agent/wal/byte-codec.ts";
import type { FileSystem } from "../../src/raft-agent/wal/file-system.ts";
import { type LogRecord, readRecord } from "../../src/raft-agent/wal/record.ts";
import { type ScannedBatch, scanLog } from "../../src/raft-agent/wal/scan.ts";

const dataBytesShownMax = 48;

/** Prints the log, a damaged one up to the damage. Returns the exit code: 0 if all of it could be read. */
export async function dumpLog(
  fileSystem: FileSystem,
  directory: string,
  print: (text: string) => void,
  complain: (text: string) => void,
): Promise<number> {
  let segment = "";
  const visit = (batch: ScannedBatch): void => {
    if (batch.segment.name !== segment) print(describeSegment(batch));
    segment = batch.segment.name;
    print(describeBatch(batch));
  };
  try {
    const scan = await scanLog(fileSystem, directory, visit);
    for (const { segment: torn, start, end } of scan.torn) {
      print(`${torn.name}: ${end - start} bytes at ${start} were never acknowledged (torn by a crash)\n`);
    }
    if (scan.segments.length > 0) {
      print(`${scan.segments.length} segments, ${scan.lastSequence} batches since the log was created\n`);
      return 0;
    }
    complain("This directory contains no log: pass the one that contains files named like 000000000001.log\n");
  } catch (error) {
    complain(`${errorText(error)}\n`);
  }
  return 1;
}

function describeSegment({ segment }: ScannedBatch): string {
  const { segmentBytes, metadata, logId } = segment.header;
  const id = [logId.high, logId.low].map((half) => half.toString(16).padStart(8, "0")).join("");
  return `${segment.name}: ${segmentBytes} bytes, log ${id}, metadata ${shown(metadata)}\n`;
}

function describeBatch({ offset, header, payload }: ScannedBatch): string {
  const reader = new ByteReader(payload);
  const lines: string[] = [];
  while (reader.remaining > 0) lines.push(`    ${describeRecord(readRecord(reader))}\n`);
  const more = header.moreFollows ? ", group continues" : "";
  return `  batch ${header.sequence} at ${offset}, ${header.payloadBytes} bytes${more}\n${lines.join("")}`;
}

function describeRecord(record: LogRecord): string {
  if (record.kind === "hardState") {
    const { term, votedFor, commitIndex } = record.hardState;
    return `hard state: term ${term}, voted for ${votedFor ?? "none"}, commit index ${commitIndex}`;
  }
  if (record.kind === "entry") {
    const { index, term, kind, data } = record.entry;
    return `entry ${index}: term ${term}, ${kind === 0 ? "normal" : "configuration"}, ${data.length} bytes ${shown(data)}`;
  }
  const { index, term, configuration } = record.snapshot;
  const suffix = record.keepsSuffix ? "entries after it are kept" : "replaces the whole log";
  return `snapshot at ${index}: term ${term}, ${suffix}, ${inspect(configuration, { breakLength: Number.POSITIVE_INFINITY })}`;
}

function shown(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.subarray(0, dataBytesShownMax)).toString("latin1");
  return JSON.stringify(head) + (bytes.length > dataBytesShownMax ? "..." : "");
}
