/** Backups go to one place and are encrypted in one way, and members take some by themselves only if they can. */
import type { LocatedPart, SpecDraft } from "../draft.ts";
import { findingAt, type SpecFinding } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkBackup: SpecRule = (draft) =>
  draft.backup === null
    ? []
    : [...checkPlace(draft.backup), ...checkEncryption(draft.backup), ...checkSchedule(draft.backup, draft)];

function checkPlace({ entries: { directory, s3 } }: LocatedPart<"backup">): readonly SpecFinding[] {
  if (directory === null || s3 === null) return [];
  const summary = "Backups go to two places";
  const detail = "Write either `directory`, or `s3`, a bucket.";
  return [findingAt(s3.pointer, { code: "spec/backup-place", summary, detail })];
}

function checkEncryption({ entries: { encryption } }: LocatedPart<"backup">): readonly SpecFinding[] {
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
}

function checkSchedule(
  { entries: { schedule, encryption, s3 } }: LocatedPart<"backup">,
  { controlPlane }: SpecDraft,
): readonly SpecFinding[] {
  if (schedule === null) return [];
  const finding = (summary: string, detail: string): SpecFinding =>
    findingAt(schedule.pointer, { code: "spec/backup-schedule", summary, detail });
  return [
    ...(controlPlane?.entries.engine.value === "etcd"
      ? [finding("A real etcd takes no backups by itself", "Remove it, and run `haplan backup` from a timer.")]
      : []),
    ...checkSchedulePlace(s3 !== null, schedule.entries).map(([summary, detail]) => finding(summary, detail)),
    ...(encryption !== null && schedule.entries.keyFile === null
      ? [
          finding(
            "Backups are encrypted, but not those that the members take",
            "Add `keyFile`, the path of a key on each master: `backup.encryption` is of the machine that runs haplan.",
          ),
        ]
      : []),
  ];
}

type Summary = readonly [summary: string, detail: string];

function checkSchedulePlace(
  hasBucket: boolean,
  { directory, credentialsFile }: LocatedPart<"backupSchedule">["entries"],
): readonly Summary[] {
  if (directory !== null && hasBucket)
    return [
      ["Backups that members take go to two places", "Write either `schedule.directory`, or `backup.s3`, a bucket."],
    ];
  if (directory === null && !hasBucket)
    return [
      [
        "Nothing says where the backups that members take go",
        "Add `directory`, an absolute path on each master, or `s3` beside `schedule`, a bucket.",
      ],
    ];
  if (credentialsFile === null || hasBucket) return [];
  return [
    [
      "Members need no credentials for a directory",
      "Remove `credentialsFile`, or write `backup.s3` in place of `directory`.",
    ],
  ];
}
