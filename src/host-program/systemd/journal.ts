/** The journal's entries of one unit: those of its processes, and what systemd says about it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { HaplanError } from "../../base/haplan-error.ts";
import { parseJson } from "../../base/json-text.ts";
import { splitLines } from "../../host/split-lines.ts";
import type { LogLine, LogSelection } from "../../providers/supervisor.ts";
import { runTool } from "./systemctl.ts";

const lineBytesMax = 32 * 1024 * 1024;
/** Of standard error, for an error message. */
const stderrBytesMax = 4096;

type JournalLine = LogLine & { readonly cursor: string };

export async function* readJournal(
  unit: string,
  { lines, sinceMs, follow }: LogSelection,
  signal: AbortSignal,
): AsyncGenerator<LogLine | "current"> {
  await runTool("journalctl", ["--sync"]);
  const startedMs = Date.now();
  const since = (timeMs: number): string => `--since=@${Math.floor(timeMs / 1000)}`;
  const count = `--lines=${lines ?? "all"}`;
  let cursor: string | null = null;
  for await (const line of journalLines(unit, [count, ...(sinceMs === null ? [] : [since(sinceMs)])], signal)) {
    cursor = line.cursor;
    if (sinceMs === null || line.timeMs >= sinceMs) yield { timeMs: line.timeMs, message: line.message };
  }
  yield "current";
  if (!follow || signal.aborted) return;
  const from = cursor === null ? since(startedMs) : `--after-cursor=${cursor}`;
  for await (const { timeMs, message } of journalLines(unit, ["--follow", "--no-tail", from], signal))
    yield { timeMs, message };
}

/** @throws HaplanError `provider/systemd` with what journalctl wrote */
async function* journalLines(unit: string, given: readonly string[], signal: AbortSignal): AsyncGenerator<JournalLine> {
  const words = [
    "--output=json",
    "--output-fields=MESSAGE",
    "--all",
    "--no-pager",
    "--quiet",
    `--unit=${unit}.service`,
  ];
  const child = spawn("journalctl", [...words, ...given], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  ended.catch(() => undefined);
  const stop = (): void => void child.kill();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  let stderr = "";
  child.stderr.on("data", (part: Buffer) => {
    stderr = (stderr + part.toString("utf8")).slice(-stderrBytesMax);
  });
  try {
    for await (const line of splitLines(child.stdout, lineBytesMax)) yield* parseJournalLine(line);
    const [exitCode] = (await ended) as [number | null];
    if (exitCode !== 0 && !signal.aborted)
      throw new HaplanError("provider/systemd", `journalctl failed: ${stderr.trim()}`);
  } finally {
    signal.removeEventListener("abort", stop);
    child.kill();
  }
}

/** An entry of `journalctl -o json`: a message may have several lines, and one that is no text is a list of bytes. */
export function parseJournalLine(line: string): readonly JournalLine[] {
  const entry = parseJson(line) as { readonly [field: string]: unknown };
  const timeMs = Math.floor(Number(entry["__REALTIME_TIMESTAMP"]) / 1000);
  const cursor = String(entry["__CURSOR"]);
  const { MESSAGE: given } = entry;
  const text = Array.isArray(given) ? Buffer.from(given as number[]).toString("utf8") : String(given ?? "");
  return text.split("\n").map((message) => ({ timeMs, message, cursor }));
}
