/** Logs as `haplan-host --logs` writes them: one JSON object per line. */
import type { Readable } from "node:stream";
import { HaplanError } from "../base/haplan-error.ts";
import { parseJson } from "../base/json-text.ts";
import type { LogEvent, LogRequest } from "../providers/log-entry.ts";
import type { MachineRef } from "../providers/provider.ts";
import { lineBytesMax } from "./host-protocol.ts";
import { splitLines } from "./split-lines.ts";

/** The flags of haplan-host for a request: words that no shell changes. */
export function logFlags(machine: MachineRef, { unit, lines, sinceMs, follow }: LogRequest): readonly string[] {
  const name = typeof machine === "string" ? machine : `${machine.name}@${machine.generation}`;
  return [
    `--logs=${name}`,
    ...(unit === null ? [] : [`--unit=${unit}`]),
    ...(lines === null ? [] : [`--lines=${lines}`]),
    ...(sinceMs === null ? [] : [`--since-ms=${Math.floor(sinceMs)}`]),
    ...(follow ? ["--follow"] : []),
  ];
}

export type LogFlags = {
  readonly logs: string;
  readonly unit?: string;
  readonly lines?: string;
  readonly sinceMs?: string;
  readonly follow?: true;
};

/** The request that these flags are for. */
export function requestOfFlags(flags: LogFlags): { readonly machine: MachineRef; readonly request: LogRequest } {
  const [name = "", generation] = flags.logs.split("@");
  return {
    machine: generation === undefined ? name : { name, generation: Number(generation) },
    request: {
      unit: flags.unit ?? null,
      lines: flags.lines === undefined ? null : Number(flags.lines),
      sinceMs: flags.sinceMs === undefined ? null : Number(flags.sinceMs),
      follow: flags.follow === true,
    },
  };
}

export function encodeLogEvent(event: LogEvent): string {
  return `${JSON.stringify(event === "current" ? { current: true } : event)}\n`;
}

/** @throws HaplanError `provider/bad-answer` */
export async function* decodeLogEvents(stream: Readable): AsyncGenerator<LogEvent> {
  for await (const line of splitLines(stream, lineBytesMax)) {
    const event = parse(line);
    if (event === null)
      throw new HaplanError(
        "provider/bad-answer",
        `The host wrote a line that is no log entry: ${JSON.stringify(line.slice(0, 200))}`,
      );
    yield event;
  }
}

function parse(line: string): LogEvent | null {
  let value: unknown;
  try {
    value = parseJson(line);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  if ("current" in value) return "current";
  const { machine, unit, timeMs, message } = value as { readonly [key: string]: unknown };
  if (typeof machine !== "string" || typeof unit !== "string") return null;
  if (typeof timeMs !== "number" || typeof message !== "string") return null;
  return { machine, unit, timeMs, message };
}
