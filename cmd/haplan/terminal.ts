/** Where the command line reads and writes; a port, so that commands can be tested as functions. */
import { createInterface } from "node:readline/promises";
import { createPaint, fitLine, type Paint } from "./paint.ts";

export type Terminal = {
  /** Text for the person or program that asked: results. Lines get their own line end. */
  print(text: string): void;
  /** Everything else: diagnostics, and which spec was taken. */
  printError(text: string): void;
  /** Replaces the lines at the end of standard output that it wrote before; nothing happens unless `live`. */
  showStatus(lines: readonly string[]): void;
  /** Whether what was written can be painted over: somebody looks, and not at a log. */
  readonly live: boolean;
  /** Asks on standard output; null when there is no answer any more. */
  ask(question: string): Promise<string | null>;
  /** Whether somebody can be asked. */
  readonly interactive: boolean;
  readonly paint: Paint;
  readonly errorPaint: Paint;
};

export function createTerminal(options: { readonly colour: boolean }): Terminal {
  const { stdin, stdout, stderr } = process;
  const colour = options.colour && !process.env["NO_COLOR"];
  const live = stdout.isTTY === true && process.env["TERM"] !== "dumb";
  let statusLines = 0;
  const clearStatus = (): void => {
    if (statusLines > 0) stdout.write(`\r\u001b[2K${"\u001b[1A\u001b[2K".repeat(statusLines - 1)}`);
    statusLines = 0;
  };
  return {
    print: (text) => {
      clearStatus();
      stdout.write(`${text}\n`);
    },
    printError: (text) => {
      clearStatus();
      stderr.write(`${text}\n`);
    },
    live,
    showStatus: (lines) => {
      if (!live) return;
      clearStatus();
      // More lines than the screen has would scroll away and could not be taken back.
      const shown = lines.slice(-Math.max(1, (stdout.rows || 24) - 2));
      stdout.write(shown.map((line) => fitLine(line, (stdout.columns || 80) - 1)).join("\n"));
      statusLines = shown.length;
    },
    ask: async (question) => {
      clearStatus();
      const lines = createInterface({ input: stdin, output: stdout });
      try {
        // At the end of input `question` never settles, but the interface closes.
        const closed = new Promise<null>((resolve) => lines.once("close", () => resolve(null)));
        return await Promise.race([lines.question(question), closed]);
      } finally {
        lines.close();
      }
    },
    interactive: stdin.isTTY === true && stdout.isTTY === true,
    paint: createPaint(colour && stdout.isTTY === true),
    errorPaint: createPaint(colour && stderr.isTTY === true),
  };
}
