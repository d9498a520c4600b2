/** The secret that backups are encrypted with: from a file, or from a command such as that of a password manager. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { execa } from "execa";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { BackupSecret } from "./backup-cipher.ts";

type Encryption = NonNullable<NonNullable<ClusterSpec["backup"]>["encryption"]>;

const passphraseLengthMin = 16;
/** A password manager may ask its user. */
const commandTimeoutMs = 120_000;

/** Paths are relative to `cwd`; `setting` is the name of the section of the spec. @throws HaplanError `backup/no-key`, `backup/bad-key`, `backup/no-passphrase` */
export async function readBackupSecret(
  { keyFile, passphraseCommand }: Encryption,
  cwd: string,
  setting = "backup.encryption",
): Promise<BackupSecret> {
  if (keyFile !== undefined) return { kind: "key", key: readKey(keyFile, cwd, setting) };
  return { kind: "passphrase", passphrase: await askPassphrase(passphraseCommand ?? [], cwd) };
}

function readKey(path: string, cwd: string, setting: string): Uint8Array {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, path), "utf8").trim();
  } catch (cause) {
    throw new HaplanError(
      "backup/no-key",
      `Cannot read ${setting}.keyFile: ${errorText(cause)}\nCreate one with: openssl rand -hex 32 > ${path}`,
      { cause },
    );
  }
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  throw new HaplanError(
    "backup/bad-key",
    `${setting}.keyFile is no key: ${path} has ${text.length} characters instead of 64 hexadecimal digits\nCreate one with: openssl rand -hex 32 > ${path}`,
  );
}

/** The first line of what the command prints. Neither it nor what the command printed is in any message. */
async function askPassphrase(command: readonly string[], cwd: string): Promise<string> {
  const [file = "", ...given] = command;
  const result = await execa(file, given, { cwd, reject: false, timeout: commandTimeoutMs, stdin: "inherit" });
  const [passphrase = ""] = result.failed ? [] : result.stdout.split("\n");
  if (result.failed || passphrase.length < passphraseLengthMin) {
    const why = result.failed
      ? `it ${result.exitCode === undefined ? "could not be run" : `exited with ${result.exitCode}`}`
      : `its first line has ${passphrase.length} characters, and at least ${passphraseLengthMin} are required`;
    throw new HaplanError(
      "backup/no-passphrase",
      `backup.encryption.passphraseCommand gave no passphrase: ${why}\nThe command is: ${command.join(" ")}`,
    );
  }
  return passphrase;
}
