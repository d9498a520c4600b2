/**
 * A shell on a host, over one ssh connection: scripts run one after another, as root where that is possible. It works before
 * haplan is installed. What it started ends with the connection.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";
import type { Clock } from "../../base/clock.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { shellWord } from "../../base/shell-word.ts";
import { splitLines } from "../../host/split-lines.ts";
import { noSsh } from "./run-ssh.ts";
import { sshFailedCode, sshFailure } from "./ssh-failure.ts";
import { withoutDebug } from "./ssh-output.ts";
import { sshArguments } from "./ssh-target.ts";
import type { Become, Host } from "./upload-artifact.ts";

/** How far the host's clock is ahead, and by how much that may be wrong: half of a round trip. */
export type ClockReading = { readonly offsetMs: number; readonly uncertaintyMs: number };

const openMs = 60_000;
const clockMs = 10_000;
const clockReadings = 3;
const lineBytesMax = 4 * 1024 * 1024;

export class RemoteShell {
  /** Why it does not run as root; null if it does. */
  readonly notRoot: string | null;
  readonly #child: ChildProcess;
  readonly #lines: AsyncGenerator<string>;
  readonly #ended: () => Promise<HaplanError>;
  /** Scripts wait for each other: the output of each is read up to its end. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(session: ShellProcess, notRoot: string | null) {
    this.notRoot = notRoot;
    this.#child = session.child;
    this.#lines = session.lines;
    this.#ended = session.ended;
  }

  /** @throws HaplanError `ssh/...` when the host was not reached */
  static async open(host: Host): Promise<RemoteShell> {
    const session = startShell(host);
    const first = await bounded(session, host.target.host, openMs, host.signal, async () => await nextLine(session));
    return new RemoteShell(session, first === "root" ? null : first.replace(/^user ?/, "") || "sudo failed");
  }

  /**
   * Runs a script and returns what it printed to standard output. Its exit code is not told.
   * @throws HaplanError `ssh/...` when the connection was lost, `ssh/timed-out`, and the reason of `signal`
   */
  run(script: string, timeoutMs: number, signal?: AbortSignal): Promise<string> {
    const output = this.#last.then(() => this.#run(script, timeoutMs, signal));
    this.#last = output.catch(() => undefined);
    return output;
  }

  async #run(script: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<string> {
    const session = { child: this.#child, lines: this.#lines, ended: this.#ended };
    const marker = `haplan-${randomUUID()}`;
    this.#child.stdin?.write(`{ ${script}\n} </dev/null; printf '\\n%s\\n' ${marker}\n`);
    return await bounded(session, "The host", timeoutMs, signal, async () => {
      const printed: string[] = [];
      for (;;) {
        const line = await nextLine(session);
        if (line === marker) return printed.join("\n");
        printed.push(line);
      }
    });
  }

  /** Compares the clocks: of a few readings, the one with the shortest round trip. */
  async readClock({ now }: Pick<Clock, "now">, signal?: AbortSignal): Promise<ClockReading | null> {
    let best: ClockReading | null = null;
    for (let count = 0; count < clockReadings; count += 1) {
      const sentMs = now();
      const seconds = Number((await this.run("date +%s.%N", clockMs, signal)).trim());
      const uncertaintyMs = (now() - sentMs) / 2;
      if (Number.isNaN(seconds) || seconds === 0) return null;
      const offsetMs = seconds * 1000 - (sentMs + uncertaintyMs);
      if (best === null || uncertaintyMs < best.uncertaintyMs) best = { offsetMs, uncertaintyMs };
    }
    return best;
  }

  /** Ends the shell and everything that it started. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    const cutOff = setTimeout(() => this.#child.kill("SIGKILL"), 2_000);
    await this.#ended().finally(() => clearTimeout(cutOff));
  }
}

type ShellProcess = {
  readonly child: ChildProcess;
  readonly lines: AsyncGenerator<string>;
  /** Resolves once ssh has ended, with the reason as an error. */
  readonly ended: () => Promise<HaplanError>;
};

function startShell({ target, files, become }: Host): ShellProcess {
  const child = spawn("ssh", sshArguments(target, files, loginCommand(become)), { stdio: "pipe" });
  // The reason shows as the end of standard output.
  child.stdin.on("error", () => undefined);
  const stderr = text(child.stderr);
  const ending = new Promise<HaplanError>((resolve) => {
    child.once("error", (error) => resolve(systemErrorCode(error) === "ENOENT" ? noSsh() : failed(error.message)));
    child.once("close", async (exitCode) => {
      const said = await stderr;
      resolve(exitCode === sshFailedCode ? sshFailure(target, said) : failed(withoutDebug(said).trim()));
    });
  });
  const failed = (said: string): HaplanError =>
    new HaplanError("ssh/failed", `The shell on ${target.host} has ended${said === "" ? "" : `\n${said}`}`);
  return { child, lines: splitLines(child.stdout, lineBytesMax), ended: () => ending };
}

/** Prints `root`, or `user` and why it is not root, and then runs what it reads from standard input. */
function loginCommand(become: Become): string {
  const asRoot = 'if [ "$(id -u)" = 0 ]; then echo root; exec sh; fi';
  const asUser = "echo user become is none; exec sh";
  const withSudo =
    'if said=$(sudo -n sh -c : 2>&1); then echo root; exec sudo -n sh; fi; echo user $(echo "$said" | tail -n 1); exec sh';
  const script = { none: `${asRoot}; ${asUser}`, sudo: withSudo, auto: `${asRoot}; ${withSudo}` }[become];
  return `exec sh -c ${shellWord(script)}`;
}

async function nextLine({ lines, ended }: ShellProcess): Promise<string> {
  const next = await lines.next().catch(() => null);
  if (next === null || next.done === true) throw await ended();
  return next.value;
}

/** Ends the shell where the work takes too long, or is aborted. */
async function bounded<Result>(
  { child }: ShellProcess,
  host: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  let reason: unknown = null;
  const end = (why: unknown): void => {
    reason ??= why;
    child.kill("SIGKILL");
  };
  const late = new HaplanError("ssh/timed-out", `${host} did not answer within ${timeoutMs / 1000} s`);
  const timer = setTimeout(() => end(late), timeoutMs);
  const abort = (): void => end(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await work();
  } catch (error) {
    throw reason ?? error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
