/** Runs a command on a host over ssh and waits for its end. */
import { closeSync, openSync } from "node:fs";
import { ExecaError, execa } from "execa";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { sshFailedCode, sshFailure } from "./ssh-failure.ts";
import { withoutDebug } from "./ssh-output.ts";
import { type SshFiles, type SshTarget, sshArguments } from "./ssh-target.ts";

export type RemoteCommand = {
  readonly target: SshTarget;
  readonly files: SshFiles;
  /** For the host's shell. It holds no secret: process lists show it. */
  readonly command: string;
  /** Read from this file by the command's standard input. */
  readonly inputFile?: string;
  /** Gets the command's standard output, readable by the owner only; `stdout` is empty then. */
  readonly outputFile?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
};

export type RemoteResult = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/**
 * Resolves with the command's own exit code, whatever it is.
 * @throws HaplanError `ssh/...` when the host was not reached or the connection was lost, `ssh/missing` without ssh
 */
export async function runOnHost(request: RemoteCommand): Promise<RemoteResult> {
  const { target, files, command, inputFile, outputFile, signal, timeoutMs } = request;
  try {
    const result = await execa("ssh", sshArguments(target, files, command), {
      reject: false,
      timeout: timeoutMs,
      ...(inputFile === undefined ? { stdin: "ignore" } : { inputFile }),
      ...(outputFile === undefined ? {} : { stdout: { file: privateFile(outputFile) } }),
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    if (result.code === "ENOENT") throw noSsh();
    if (result.timedOut)
      throw new HaplanError("ssh/timed-out", `${target.host} did not answer within ${timeoutMs / 1000} s`);
    if (result.isCanceled) throw new HaplanError("provider/aborted", `Stopped before ${target.host} answered`);
    const { exitCode = sshFailedCode, stdout = "", stderr } = result;
    if (exitCode === sshFailedCode) throw sshFailure(target, stderr);
    return { exitCode, stdout, stderr: withoutDebug(stderr) };
  } catch (error) {
    if (error instanceof ExecaError) throw new HaplanError("ssh/failed", errorText(error), { cause: error });
    throw error;
  }
}

/** Empty, and readable by its owner only. */
function privateFile(path: string): string {
  closeSync(openSync(path, "w", 0o600));
  return path;
}

export function noSsh(): HaplanError {
  return new HaplanError(
    "ssh/missing",
    "ssh is not on the PATH: install OpenSSH's client, such as the package openssh-client",
  );
}
