/**
 * The log of `HAPLAN_LOG`, with Terraform's conventions for TF_LOG: haplan's calls to the outside and their durations.
 * It contains names and addresses, never payloads: keys, certificates, passwords, values.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import type { Clock } from "../../src/base/clock.ts";
import { errorText } from "../../src/base/haplan-error.ts";
import type { Environment } from "../../src/state/sealed-text.ts";
import { refuse } from "./refusal.ts";
import type { Terminal } from "./terminal.ts";

/** From most to least verbose. */
const levels = ["trace", "debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof levels)[number];

type LogField = string | number | boolean | readonly string[];
export type LogFields = { readonly [name: string]: LogField };

export type DebugLog = {
  /** Whether anything is written at all. */
  readonly enabled: boolean;
  write(level: LogLevel, message: string, fields?: LogFields): void;
  close(): void;
};

export const noDebugLog: DebugLog = { enabled: false, write: () => {}, close: () => {} };

export type DebugLogOptions = {
  readonly cwd: string;
  readonly terminal: Pick<Terminal, "printError">;
  readonly clock: Clock;
};

/** @throws RefusalError if the file of HAPLAN_LOG_PATH cannot be written */
export function openDebugLog(environment: Environment, { cwd, terminal, clock }: DebugLogOptions): DebugLog {
  const wanted = (environment["HAPLAN_LOG"] ?? "").trim().toLowerCase();
  if (wanted === "" || wanted === "off") return noDebugLog;
  const known = levels.find((level) => level === wanted);
  const least = levels.indexOf(known ?? "trace");
  const render = wanted === "json" ? jsonLine : textLine;
  const sink = openSink(environment["HAPLAN_LOG_PATH"] ?? "", cwd, terminal);
  const write: DebugLog["write"] = (level, message, fields = {}) => {
    if (levels.indexOf(level) >= least) sink.write(render(clock.now(), level, message, fields));
  };
  if (known === undefined && wanted !== "json") {
    write(
      "warn",
      `HAPLAN_LOG=${wanted} is not a log level: using TRACE. Levels are ${levels.join(", ").toUpperCase()}, OFF and JSON`,
    );
  }
  return { enabled: true, write, close: sink.close };
}

type Sink = { readonly write: (line: string) => void; readonly close: () => void };

/** Standard error, or the end of a file. */
function openSink(path: string, cwd: string, terminal: DebugLogOptions["terminal"]): Sink {
  if (path === "") return { write: terminal.printError, close: () => {} };
  let descriptor: number | null;
  try {
    descriptor = openSync(resolve(cwd, path), "a", 0o600);
  } catch (error) {
    throw refuse("cli/cannot-write-log", `Cannot write ${path}, given with HAPLAN_LOG_PATH`, errorText(error));
  }
  const close = (): void => {
    if (descriptor !== null) closeSync(descriptor);
    descriptor = null;
  };
  const write = (line: string): void => {
    if (descriptor === null) return;
    try {
      writeSync(descriptor, `${line}\n`);
    } catch (error) {
      // A failure to log does not stop the operation.
      close();
      terminal.printError(`Cannot write ${path}, given with HAPLAN_LOG_PATH: ${errorText(error)}. The log ends here.`);
    }
  };
  return { write, close };
}

function textLine(now: number, level: LogLevel, message: string, fields: LogFields): string {
  const shown = Object.entries(fields).map(([name, field]) => ` ${name}=${fieldText(field)}`);
  return `${new Date(now).toISOString()} [${level.toUpperCase()}] ${message}${shown.length === 0 ? "" : `:${shown.join("")}`}`;
}

function fieldText(field: LogField): string {
  const text = Array.isArray(field) ? field.join(",") : String(field);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

function jsonLine(now: number, level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({
    "@level": level,
    "@message": message,
    "@module": "haplan",
    "@timestamp": new Date(now).toISOString(),
    ...fields,
  });
}

/**
 * The command line without values that may be secret: those of variables, whatever the spelling of the flag, and of
 * unknown flags.
 */
export function redactedWords(words: readonly string[]): readonly string[] {
  return words.map((word, index) => {
    if (/^--?vars?$/i.test(words[index - 1] ?? "")) return hidden(word);
    return word.includes("=") && !/^--?(?!var)[a-z-]+=/.test(word) ? hidden(word) : word;
  });
}

function hidden(word: string): string {
  const name = /^(--?[\w-]+=)?([A-Za-z_]\w*=)?/.exec(word)?.[0] ?? "";
  return `${name}(not shown)`;
}
