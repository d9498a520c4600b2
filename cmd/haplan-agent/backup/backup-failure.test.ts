/** Why a member could not take a backup of its schedule, as its log has it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runBackupCommand } from "./backup-command.ts";
import { writerFailure } from "./backup-writer.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-backup-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

it.each<[string, string | null, RegExp]>([
  ["is missing", null, /^Cannot read backup\.schedule\.keyFile: ENOENT/],
  ["is no key", "secret", /^backup\.schedule\.keyFile is no key: .* has 6 characters/],
])("is that the key file %s, by the name of its setting", async (_, text, why) => {
  const keyFile = join(directory, "backup.key");
  if (text !== null) writeFileSync(keyFile, text);
  let said = "";
  const output = { write: () => {}, writeError: (each: string) => void (said += each) };
  expect(await runBackupCommand(["--dir", directory, "--cluster", "demo", "--key-file", keyFile], output)).toBe(1);
  expect(said).toMatch(why);
  const failed = Object.assign(new Error("Command failed with exit code 1: node haplan-agent backup"), {
    stderr: said,
  });
  expect(writerFailure(failed)).toBe(said.trim());
});

it("is that the credentials cannot be read, by the name of their setting", async () => {
  let said = "";
  const output = { write: () => {}, writeError: (each: string) => void (said += each) };
  const words = [
    "--dir",
    directory,
    "--cluster",
    "demo",
    "--s3-bucket=kept",
    `--s3-credentials-file=${directory}/none`,
  ];
  expect(await runBackupCommand(words, output)).toBe(1);
  expect(said).toMatch(/^Cannot read backup\.schedule\.credentialsFile: ENOENT/);
});

it("is the failure itself where the writer said nothing", () => {
  expect(writerFailure(Object.assign(new Error("Command was killed"), { stderr: "" }))).toBe("Command was killed");
});
