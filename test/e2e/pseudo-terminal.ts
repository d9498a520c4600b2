/** A program on a pseudo-terminal, by util-linux's script(1): what is typed goes through the kernel's line discipline. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "./cluster-fixture.ts";

/** What the kernel takes for Ctrl-C, and makes a SIGINT of for whatever runs in the foreground. */
export const ctrlC = "\x03";

export class PseudoTerminal {
  /** Everything that was written to the screen, with its control sequences. */
  screen = "";
  readonly #script: ChildProcess;
  readonly #exit: Promise<unknown[]>;

  /** A screen of 24 lines of 80 columns. */
  constructor(command: readonly string[], cwd: string) {
    const line = `stty rows 24 columns 80; exec ${command.map((word) => `'${word}'`).join(" ")}`;
    this.#script = spawn("script", ["-q", "-e", "-c", line, "/dev/null"], {
      cwd,
      env: { ...process.env, TERM: "xterm" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#script.stdout?.setEncoding("utf8").on("data", (text: string) => (this.screen += text));
    this.#exit = once(this.#script, "close");
  }

  type(text: string): void {
    this.#script.stdin?.write(text);
  }

  async shows(text: string | RegExp): Promise<void> {
    const isThere = (): boolean =>
      typeof text === "string" ? this.screen.includes(text) : text.test(this.screen) || this.#script.exitCode !== null;
    await until(`the screen shows ${text}`, isThere, 30_000);
  }

  /** The program's exit code. */
  async end(): Promise<number> {
    const [code] = await this.#exit;
    return code as number;
  }
}
