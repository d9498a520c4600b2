/** Where the command line reads and writes; a port, so that commands can be tested as functions. */
import { createInterface } from "node:readline/promises";
import { createPaint, type Paint } from "./paint.ts";

export type Terminal = {
  /** Text for the person or program that asked: results. Lines get their own line end. */
  print(text: string): void;
  /** Everything else: diagnostics, and which spec was taken. */
  printError(text: string): void;
  /** Replaces the unfinished last line of standard output; nothing happens where that cannot be done. */
  showStatus(text: string): void;
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
  let status = false;
  const clearStatus = (): void => {
    if (status) stdout.write("\r\u001b[2K");
    status = false;
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
    showStatus: (text) => {
      if (!stdout.isTTY) return;
      clearStatus();
      if (text === "") return;
      stdout.write(text.slice(0, (stdout.columns || 80) - 1));
      status = true;
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
