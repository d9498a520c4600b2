/**
 * `wal-dump DIRECTORY`: prints a write-ahead log without changing anything. Exits with 1 if it could not be read to its
 * end.
 */
import { argv, exit, stderr, stdout } from "node:process";
import { createNodeFileSystem } from "../../src/raft-agent/wal/node-file-system.ts";
import { dumpLog } from "./dump-log.ts";

const directory = argv[2];
if (directory === undefined || argv.length > 3) {
  stderr.write("Usage: wal-dump DIRECTORY\nDIRECTORY is a log's directory, for example data/member/wal.\n");
  exit(1);
}
const write = (stream: NodeJS.WritableStream) => (text: string) => void stream.write(text);
process.exitCode = await dumpLog(createNodeFileSystem(directory), ".", write(stdout), write(stderr));
