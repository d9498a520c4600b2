/** Restarts a process as it was: the part of a supervisor such as systemd. */
import { spawn } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";

export type ProcessImage = {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDir: string;
};

/** Reads it from a running process. */
export function readProcessImage(pid: number): ProcessImage {
  const words = (name: string): string[] => readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0").slice(0, -1);
  const entries = words("environ").map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  return {
    argv: words("cmdline"),
    environment: Object.fromEntries(entries),
    workingDir: readlinkSync(`/proc/${pid}/cwd`),
  };
}

/** Starts it in a new session; its output is discarded. Returns the process id. */
export function restartProcess(image: ProcessImage): number {
  const [file = "", ...args] = image.argv;
  const { environment, workingDir } = image;
  const child = spawn(file, args, { cwd: workingDir, env: environment, detached: true, stdio: "ignore" });
  child.unref();
  if (child.pid === undefined) throw new Error(`Cannot start ${file} again`);
  return child.pid;
}
