/**
 * The log that `HAPLAN_LOG` asks for, with Terraform's conventions for TF_LOG: what haplan asks of the world and how long
 * that takes. It holds names and addresses, and never what is sent: keys, certificates, passwords, values.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import type { Clock } from "../../src/base/clock.ts";
import { errorText } from "../../src/base/haplan-error.ts";
import type { Environment } from "../../src/state/sealed-text.ts";
import { refuse } from "./refusal.ts";
import type { Terminal } from "./terminal.ts";

/** From the most to the least talkative. */
const levels = ["trace", "debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof levels)[number];

type Fact = string | number | boolean | readonly string[];
export type LogFacts = { readonly [name: string]: Fact };

export type DebugLog = {
  /** Whether anything is written at all. */
  readonly enabled: boolean;
  write(level: LogLevel, message: string, facts?: LogFacts): void;
  close(): void;
};

export const noDebugLog: DebugLog = { enabled: false, write: () => {}, close: () => {} };

export type DebugLogPlace = {
  readonly cwd: string;
  readonly terminal: Pick<Terminal, "printError">;
  readonly clock: Clock;
};

/** @throws RefusalError when HAPLAN_LOG_PATH names a file that cannot be written */
export function openDebugLog(environment: Environment, { cwd, terminal, clock }: DebugLogPlace): DebugLog {
  const wanted = (environment["HAPLAN_LOG"] ?? "").trim().toLowerCase();
  if (wanted === "" || wanted === "off") return noDebugLog;
  const known = levels.find((level) => level === wanted);
  const least = levels.indexOf(known ?? "trace");
  const render = wanted === "json" ? jsonLine : textLine;
  const sink = openSink(environment["HAPLAN_LOG_PATH"] ?? "", cwd, terminal);
  const write: DebugLog["write"] = (level, message, facts = {}) => {
    if (levels.indexOf(level) >= least) sink.write(render(clock.now(), level, message, facts));
  };
  if (known === undefined && wanted !== "json") {
    write(
      "warn",
      `HAPLAN_LOG=${wanted} is no level: taken for TRACE. Levels are ${levels.join(", ").toUpperCase()}, OFF and JSON`,
    );
  }
  return { enabled: true, write, close: sink.close };
}

type Sink = { readonly write: (line: string) => void; readonly close: () => void };

/** Standard error, or the end of a file. */
function openSink(path: string, cwd: string, terminal: DebugLogPlace["terminal"]): Sink {
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
      // What is under way does not end because it cannot be logged.
      close();
      terminal.printError(`Cannot write ${path}, given with HAPLAN_LOG_PATH: ${errorText(error)}. The log ends here.`);
    }
  };
  return { write, close };
}

function textLine(now: number, level: LogLevel, message: string, facts: LogFacts): string {
  const told = Object.entries(facts).map(([name, fact]) => ` ${name}=${factText(fact)}`);
  return `${new Date(now).toISOString()} [${level.toUpperCase()}] ${message}${told.length === 0 ? "" : `:${told.join("")}`}`;
}

function factText(fact: Fact): string {
  const text = Array.isArray(fact) ? fact.join(",") : String(fact);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

function jsonLine(now: number, level: LogLevel, message: string, facts: LogFacts): string {
  return JSON.stringify({
    "@level": level,
    "@message": message,
    "@module": "haplan",
    "@timestamp": new Date(now).toISOString(),
    ...facts,
  });
}

/**
 * The command line without values that may be secret: those of variables, however the flag before them is spelled, and of
 * flags that haplan does not know.
 */
export function loggableWords(words: readonly string[]): readonly string[] {
  return words.map((word, index) => {
    if (/^--?vars?$/i.test(words[index - 1] ?? "")) return hidden(word);
    return word.includes("=") && !/^--?(?!var)[a-z-]+=/.test(word) ? hidden(word) : word;
  });
}

function hidden(word: string): string {
  const name = /^(--?[\w-]+=)?([A-Za-z_]\w*=)?/.exec(word)?.[0] ?? "";
  return `${name}(not shown)`;
}
