/** Backups are encrypted in one way. */
import { findingAt } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkBackup: SpecRule = ({ backup }) => {
  const encryption = backup?.entries.encryption ?? null;
  if (encryption === null) return [];
  const { keyFile, passphraseCommand } = encryption.entries;
  if ((keyFile === null) !== (passphraseCommand === null)) return [];
  return [
    findingAt(encryption.pointer, {
      code: "spec/backup-encryption",
      summary: keyFile === null ? "Nothing says what backups are encrypted with" : "Backups are encrypted in two ways",
      detail: "Write either `keyFile`, a file with a key, or `passphraseCommand`, a program that prints a passphrase.",
    }),
  ];
};
