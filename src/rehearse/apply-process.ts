/** haplan as a process of its own in the directory of a copy, so that it can be killed; its events come from `-json`. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { unitPaths } from "../providers/local/machine-dir.ts";
import { unitMarker } from "../providers/local/process-table.ts";
import { type LinkOptions, linkVariable } from "./linked-processes.ts";

/** A line of haplan's JSON stream. */
export type StreamLine = { readonly type: string; readonly [key: string]: unknown };

export type ApplyProcessOptions = {
  /** The program: haplan with the processes of a copy. */
  readonly program: string;
  /** The copy's directory. */
  readonly directory: string;
  readonly link: LinkOptions;
};

export type ApplyProcess = {
  readonly kill: () => void;
  /** Resolves with its exit code, null if it was killed, and its last error. */
  readonly end: Promise<{ readonly exitCode: number | null; readonly error: string | null }>;
};

/** Settings of haplan that would change what it does or where it logs. */
const foreignSettings = /^(HAPLAN_CLI_ARGS|HAPLAN_LOG|HAPLAN_VAR_)/;

export function startApply(
  { program, directory, link }: ApplyProcessOptions,
  words: readonly string[],
  onLine: (line: StreamLine) => void = () => undefined,
): ApplyProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !foreignSettings.test(name));
  const child = spawn(process.execPath, [program, ...words], {
    cwd: directory,
    env: {
      ...Object.fromEntries(inherited),
      [linkVariable]: JSON.stringify(link),
      // Found and ended with the members, whatever becomes of this process.
      [unitMarker]: unitPaths(directory, "haplan", "apply").directory,
    },
    // Ctrl-C is for this process: it ends the others.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let error: string | null = null;
  const told: string[] = [];
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = parseLine(text);
    if (line === null) return;
    if (line.type === "diagnostic") error = diagnosticText(line) ?? error;
    onLine(line);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => told.push(text));
  const end = new Promise<Awaited<ApplyProcess["end"]>>((resolve) => {
    child.once("error", (failure) => resolve({ exitCode: 1, error: failure.message }));
    child.once("close", (exitCode, signal) => {
      // One that was killed had no chance to say anything.
      if (signal !== null || exitCode === 0) resolve({ exitCode: signal === null ? 0 : null, error: null });
      else resolve({ exitCode, error: error ?? lastLine(told) });
    });
  });
  return { kill: () => void child.kill("SIGKILL"), end };
}

function parseLine(text: string): StreamLine | null {
  try {
    return JSON.parse(text) as StreamLine;
  } catch {
    return null;
  }
}

function diagnosticText(line: StreamLine): string | null {
  const diagnostic = line["diagnostic"] as
    | { readonly severity: string; readonly summary: string; readonly detail?: string }
    | undefined;
  if (diagnostic?.severity !== "error") return null;
  const [first = ""] = (diagnostic.detail ?? "").split("\n");
  return first === "" ? diagnostic.summary : `${diagnostic.summary}: ${first}`;
}

function lastLine(told: readonly string[]): string | null {
  return told.join("").trimEnd().split("\n").at(-1) || null;
}
