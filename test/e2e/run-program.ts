/** Runs a program to its end, bounded in time, and tells everything a shell would see of it. */
import { spawnSync } from "node:child_process";
import { execa } from "execa";

export type ProgramRun = {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type RunOptions = {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Nothing more of standard output is read once this was printed, and the program's next write to it fails. */
  readonly closeOutputAt?: string;
  /** SIGKILL after this long. */
  readonly timeoutMs?: number;
};

/** The program under way: `signal` interrupts it, `end` is how it went. */
export type RunningProgram = {
  readonly pid: number;
  signal(name: NodeJS.Signals): void;
  readonly end: Promise<ProgramRun>;
  /** What it has printed on stdout so far. */
  printed(): string;
};

export function startProgram(file: string, args: readonly string[], options: RunOptions = {}): RunningProgram {
  const { cwd, env, input, closeOutputAt, timeoutMs = 60_000 } = options;
  const subprocess = execa(file, [...args], {
    reject: false,
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    stripFinalNewline: false,
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    // Never a terminal, never the caller's standard input.
    ...(input === undefined ? { stdin: "ignore" as const } : { input }),
  });
  let printed = "";
  subprocess.stdout?.on("data", (chunk: Buffer | string) => {
    printed += String(chunk);
    if (closeOutputAt !== undefined && printed.includes(closeOutputAt)) subprocess.stdout?.destroy();
  });
  const end = (async (): Promise<ProgramRun> => {
    const result = await subprocess;
    const { exitCode, signal, stdout = "", stderr = "" } = result;
    // Nothing ran: no exit code, no signal.
    if (exitCode === undefined && signal === undefined) throw new Error(result.shortMessage);
    return { code: exitCode ?? null, signal: signal ?? null, stdout: String(stdout), stderr: String(stderr) };
  })();
  return {
    pid: subprocess.pid ?? 0,
    signal: (name) => void subprocess.kill(name),
    end,
    printed: () => printed,
  };
}

export async function runProgram(file: string, args: readonly string[], options: RunOptions = {}): Promise<ProgramRun> {
  return startProgram(file, args, options).end;
}

/** Is there a program of this name that runs at all? */
export function isInstalled(file: string, versionFlag: string): boolean {
  return spawnSync(file, [versionFlag], { stdio: "ignore" }).status === 0;
}
