/** A full pipe. Its reader, which is this process, does not read. */
import { spawnSync } from "node:child_process";
import { constants, openSync, writeSync } from "node:fs";
import { expect } from "vitest";

/** Makes the pipe at `path`, and returns a descriptor that writes to it and blocks. */
export function openFullPipe(path: string): number {
  spawnSync("mkfifo", [path]);
  openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  expect(() => {
    for (;;) writeSync(writer, Buffer.alloc(4096));
  }).toThrow("EAGAIN");
  return openSync(path, "w");
}
