/**
 * `wal-dump FOLDER`: prints a write-ahead log, batch by batch, without changing anything. For people who have to find out what
 * a member knew. A damaged log is printed up to the damage.
 */
import { argv, exit, stderr, stdout } from "node:process";
import { inspect } from "node:util";
import { errorText } from "../../src/base/haplan-error.ts";
import { ByteReader } from "../../src/raft-agent/wal/byte-codec.ts";
import { createNodeFileSystem } from "../../src/raft-agent/wal/node-file-system.ts";
import { type LogRecord, readRecord } from "../../src/raft-agent/wal/record.ts";
import { type ScannedBatch, scanLog } from "../../src/raft-agent/wal/scan.ts";

const dataBytesShownMax = 48;

async function main(folder: string | undefined): Promise<number> {
  if (folder === undefined || argv.length > 3) {
    stderr.write("Usage: wal-dump FOLDER\nFOLDER is a log's folder, for example data/member/wal.\n");
    return 1;
  }
  let segment = "";
  const print = (batch: ScannedBatch): void => {
    if (batch.segment.name !== segment) stdout.write(describeSegment(batch));
    segment = batch.segment.name;
    stdout.write(describeBatch(batch));
  };
  try {
    const scan = await scanLog(createNodeFileSystem(folder), ".", print);
    for (const { segment: torn, start, end } of scan.torn) {
      stdout.write(`${torn.name}: ${end - start} bytes at ${start} were never acknowledged (torn by a crash)\n`);
    }
    stdout.write(`${scan.segments.length} segments, ${scan.lastSequence} batches since the log was made\n`);
    return scan.segments.length === 0 ? 1 : 0;
  } catch (error) {
    stderr.write(`${errorText(error)}\n`);
    return 1;
  }
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
  const more = header.moreFollows ? ", group goes on" : "";
  return `  batch ${header.sequence} at ${offset}, ${header.payloadBytes} bytes${more}\n${lines.join("")}`;
}

function describeRecord(record: LogRecord): string {
  if (record.kind === "hardState") {
    const { term, votedFor, commitIndex } = record.hardState;
    return `hard state: term ${term}, voted for ${votedFor ?? "nobody"}, commit index ${commitIndex}`;
  }
  if (record.kind === "entry") {
    const { index, term, kind, data } = record.entry;
    return `entry ${index}: term ${term}, ${kind === 0 ? "normal" : "configuration"}, ${data.length} bytes ${shown(data)}`;
  }
  const { index, term, configuration } = record.snapshot;
  const suffix = record.keepsSuffix ? "entries behind it stay" : "replaces the whole log";
  return `snapshot at ${index}: term ${term}, ${suffix}, ${inspect(configuration, { breakLength: Number.POSITIVE_INFINITY })}`;
}

function shown(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.subarray(0, dataBytesShownMax)).toString("latin1");
  return JSON.stringify(head) + (bytes.length > dataBytesShownMax ? "..." : "");
}

exit(await main(argv[2]));
