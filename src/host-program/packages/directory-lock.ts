/**
 * A lock between processes of this host: on a directory, so that nothing is left of it. util-linux's flock holds it, for as long as
 * its standard input is open: also a process that is killed lets it go.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { text } from "node:stream/consumers";
import { makeDirDurably } from "../../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";

/** How long another process may install packages. */
const waitSeconds = 900;

/** Prints which directory is locked: the one of that name may be another one by now. */
const script = `cd "$1" && exec 9<. && flock -w ${waitSeconds} 9 && stat -c %i . && exec cat`;

/** @throws HaplanError `host/locked` if another process does not end */
export async function withDirectoryLock<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    makeDirDurably(directory);
    const child = spawn("sh", ["-c", script, "sh", directory], { stdio: ["pipe", "pipe", "pipe"] });
    const closed = once(child, "close");
    const stderr = text(child.stderr);
    child.stdin.on("error", () => undefined);
    try {
      const [inode] = (await Promise.race([once(child.stdout, "data"), closed.then(() => [null])])) as [Buffer | null];
      if (inode === null) {
        const said = (await stderr).trim();
        throw new HaplanError("host/locked", `Cannot lock "${directory}"${said === "" ? "" : `: ${said}`}`);
      }
      if (Number(String(inode)) === inodeOf(directory)) return await work();
    } finally {
      child.stdin.end();
      await closed;
    }
  }
}

function inodeOf(directory: string): number | null {
  try {
    return statSync(directory).ino;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}
