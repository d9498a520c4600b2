/** The terminal that the command line reads and writes; a port, so that commands can be tested as functions. */
import { createInterface } from "node:readline/promises";
import { HaplanError } from "../../src/base/haplan-error.ts";
import { readStateStream } from "../../src/state/state-size.ts";
import { createPaint, fitLine, type Paint } from "./paint.ts";

export type Terminal = {
  /** Prints a result to standard output, with a line end. */
  print(text: string): void;
  /** Prints anything else: diagnostics, and which spec was chosen. */
  printError(text: string): void;
  /** Replaces the status lines at the end of standard output; does nothing unless `live`. */
  showStatus(lines: readonly string[]): void;
  /** Whether output can be repainted: it goes to an interactive terminal, not to a log. */
  readonly live: boolean;
  /** Of standard output; null if it goes to no terminal. */
  readonly columns: number | null;
  /** Asks on standard output; null if there is no answer any more, or `stop` was aborted. */
  ask(question: string, stop: AbortSignal): Promise<string | null>;
  /** Stops all output to standard output. */
  close(): void;
  closed(): boolean;
  /** Reads all of standard input; waits for its end. */
  readInput(): Promise<string>;
  /** Whether questions can be answered. */
  readonly interactive: boolean;
  readonly paint: Paint;
  readonly errorPaint: Paint;
};

const inputReadTwice =
  "Standard input was named twice\nIt can be read only once. Use `-` in one place, and a file name in the other.";

export function createTerminal(options: { readonly color: boolean }): Terminal {
  const { stdin, stdout, stderr } = process;
  const color = options.color && !process.env["NO_COLOR"];
  const live = stdout.isTTY === true && process.env["TERM"] !== "dumb";
  let statusLines = 0;
  let closed = false;
  let inputRead = false;
  const clearStatus = (): void => {
    if (statusLines > 0 && !closed) stdout.write(`\r\u001b[2K${"\u001b[1A\u001b[2K".repeat(statusLines - 1)}`);
    statusLines = 0;
  };
  return {
    print: (text) => {
      clearStatus();
      if (!closed) stdout.write(`${text}\n`);
    },
    printError: (text) => {
      clearStatus();
      stderr.write(`${text}\n`);
    },
    live,
    columns: stdout.isTTY === true ? stdout.columns || 80 : null,
    showStatus: (lines) => {
      if (!live || closed) return;
      clearStatus();
      // Lines beyond the height of the screen would scroll away and could not be replaced.
      const shown = lines.slice(-Math.max(1, (stdout.rows || 24) - 2));
      stdout.write(shown.map((line) => fitLine(line, (stdout.columns || 80) - 1)).join("\n"));
      statusLines = shown.length;
    },
    ask: async (question, stop) => {
      clearStatus();
      if (stop.aborted) return null;
      const lines = createInterface({ input: stdin, output: stdout });
      try {
        // At the end of input `question` never settles, but the interface closes.
        const ended = new Promise<null>((resolve) => lines.once("close", () => resolve(null)));
        const answer = lines.question(question, { signal: stop }).catch(() => null);
        return await Promise.race([answer, ended]);
      } finally {
        lines.close();
      }
    },
    readInput: async () => {
      // Standard input can be read once; a second reader would get nothing.
      if (inputRead) throw new HaplanError("cli/input-read-twice", inputReadTwice);
      inputRead = true;
      return readStateStream(stdin, "standard input");
    },
    close: () => {
      closed = true;
    },
    closed: () => closed,
    interactive: stdin.isTTY === true && stdout.isTTY === true,
    paint: createPaint(color && stdout.isTTY === true),
    errorPaint: createPaint(color && stderr.isTTY === true),
  };
}
