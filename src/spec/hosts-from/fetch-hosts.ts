/** Reads the files and runs the commands that `hostsFrom` names. */
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { execa } from "execa";
import { errorText, systemErrorCode } from "../../base/haplan-error.ts";
import { type HostInput, type HostText, type HostTexts, inputKey } from "./host-source.ts";

export type FetchOptions = {
  /** The directory of the spec: files are relative to it, and commands run in it. */
  readonly directory: string;
  readonly signal: AbortSignal;
};

const textBytesMax = 16 * 1024 * 1024;
const stderrLinesMax = 20;

/** Reads each of `inputs` once, all at the same time. */
export async function fetchHosts(inputs: readonly HostInput[], options: FetchOptions): Promise<HostTexts> {
  const distinct = new Map(inputs.map((input) => [inputKey(input), input]));
  return new Map(
    await Promise.all([...distinct].map(async ([key, input]) => [key, await fetchInput(input, options)] as const)),
  );
}

function fetchInput(input: HostInput, options: FetchOptions): Promise<HostText> {
  return "file" in input ? readText(input.file, options) : runCommand(input, options);
}

async function readText(file: string, { directory }: FetchOptions): Promise<HostText> {
  const path = resolve(directory, file);
  try {
    if ((await stat(path)).size > textBytesMax) return failed(`${file} is too large`, "It may have 16 MiB at most.");
    return { text: await readFile(path, "utf8") };
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT")
      return failed(`There is no file ${file}`, `It is relative to the spec: haplan looked for ${path}.`);
    return failed(`Cannot read ${file}`, errorText(error));
  }
}

async function runCommand(
  input: Extract<HostInput, { command: readonly string[] }>,
  { directory, signal }: FetchOptions,
): Promise<HostText> {
  const { command, timeoutMs } = input;
  const [program = "", ...given] = command;
  const result = await execa(program, given, {
    cwd: directory,
    reject: false,
    stdin: "ignore",
    timeout: timeoutMs,
    maxBuffer: textBytesMax,
    cancelSignal: signal,
  });
  if (!result.failed) return { text: result.stdout };
  const summary = `\`${command.join(" ")}\` ${endingOf(result, timeoutMs)}`;
  const stderr = (result.stderr ?? "").trimEnd().split("\n").slice(-stderrLinesMax).join("\n");
  return failed(
    summary,
    stderr === "" ? "It wrote nothing to standard error." : `It wrote to standard error:\n${stderr}`,
  );
}

type Ended = {
  readonly code?: string | undefined;
  readonly timedOut: boolean;
  readonly isCanceled: boolean;
  readonly isMaxBuffer: boolean;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
};

function endingOf(ended: Ended, timeoutMs: number): string {
  if (ended.code === "ENOENT") return "does not exist on the PATH";
  if (ended.timedOut) return `did not end within ${timeoutMs / 1000} s (timeoutMs)`;
  if (ended.isCanceled) return "was stopped";
  if (ended.isMaxBuffer) return "printed more than 16 MiB";
  return ended.exitCode === undefined
    ? `was ended by ${ended.signal ?? "a signal"}`
    : `ended with exit code ${ended.exitCode}`;
}

function failed(summary: string, detail: string): HostText {
  return { failed: { summary, detail } };
}
