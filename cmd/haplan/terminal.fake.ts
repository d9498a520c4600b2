/** A terminal for tests: records its output and answers questions from a list. */
import { createPaint } from "./paint.ts";
import type { Terminal } from "./terminal.ts";

export type ScriptedTerminal = Terminal & {
  readonly output: () => string;
  readonly errors: () => string;
  readonly questions: readonly string[];
  /** All status lines that were shown and replaced. */
  readonly statuses: readonly string[];
};

/** `answers`: null makes the terminal non-interactive; `input` is all of standard input. */
export function createScriptedTerminal(answers: readonly string[] | null, live = false, input = ""): ScriptedTerminal {
  const statuses: string[] = [];
  const printed: string[] = [];
  const errors: string[] = [];
  const questions: string[] = [];
  const paint = createPaint(false);
  return {
    print: (text) => void printed.push(text),
    printError: (text) => void errors.push(text),
    live,
    columns: null,
    showStatus: (lines) => void statuses.push(lines.join("\n")),
    ask: async (question) => {
      questions.push(question);
      return answers?.[questions.length - 1] ?? null;
    },
    readInput: async () => input,
    close: () => {},
    closed: () => false,
    interactive: answers !== null,
    paint,
    errorPaint: paint,
    output: () => printed.join("\n"),
    errors: () => errors.join("\n"),
    questions,
    statuses,
  };
}
