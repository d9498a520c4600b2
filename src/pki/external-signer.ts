/** Has certificates signed by a program: the request goes to its standard input, the chain comes from its standard output. */
import { X509Certificate } from "node:crypto";
import { execa } from "execa";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { certificatesIn } from "../x509/pem.ts";

export type SignerCommand = {
  /** The program and its arguments; no shell interprets them. */
  readonly command: readonly string[];
  readonly timeoutMs: number;
  /** The directory that it runs in. */
  readonly cwd: string;
};

/** What the program is told in its environment, for programs that have a policy for each use. */
export type SignerRequest = {
  readonly name: string;
  readonly profile: "member" | "client";
  readonly requestPem: string;
};

const outputBytesMax = 1024 * 1024;
const stderrLinesMax = 20;

/**
 * The certificate, and after it those of intermediate authorities.
 * @throws HaplanError `pki/signer-failed` with what the program wrote to standard error
 */
export async function runSigner(
  { command, timeoutMs, cwd }: SignerCommand,
  { name, profile, requestPem }: SignerRequest,
): Promise<readonly string[]> {
  const [program = "", ...words] = command;
  const running = execa(program, words, {
    cwd,
    input: requestPem,
    env: { HAPLAN_CERTIFICATE_NAME: name, HAPLAN_CERTIFICATE_PROFILE: profile },
    reject: false,
    timeout: timeoutMs,
    maxBuffer: outputBytesMax,
  });
  // A program that it has started may hold its output open for longer.
  running.once("exit", () => {
    if (running.killed) for (const output of [running.stdout, running.stderr]) output?.destroy();
  });
  const result = await running;
  const fail = (why: string, detail: string): HaplanError =>
    new HaplanError(
      "pki/signer-failed",
      `The signer of certificate "${name}", ${command.join(" ")}, ${why}\n${detail}`,
    );
  const written = (result.stderr ?? "").trimEnd().split("\n").slice(-stderrLinesMax).join("\n");
  const detail = written === "" ? "It wrote nothing to standard error." : `It wrote to standard error:\n${written}`;
  if (result.code === "ENOENT") throw fail("does not exist", "Write a path, or the name of a program on the PATH.");
  if (result.timedOut) throw fail(`did not end within ${timeoutMs / 1000} s (timeoutMs)`, detail);
  if (result.failed) {
    const ending =
      result.exitCode === undefined
        ? `was ended by ${result.signal ?? "a signal"}`
        : `ended with exit code ${result.exitCode}`;
    throw fail(ending, detail);
  }
  const chain = certificatesIn(result.stdout);
  if (chain.length === 0) throw fail("printed no certificate in PEM", detail);
  for (const pem of chain) {
    try {
      new X509Certificate(pem);
    } catch (error) {
      throw fail("printed a damaged certificate", errorText(error));
    }
  }
  return chain;
}
