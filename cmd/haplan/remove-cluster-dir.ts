/** Removes haplan's files of a destroyed cluster, and the directories that become empty. */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { keptJournals } from "../../src/state/journal.ts";
import { lockDir } from "../../src/state/local-backend.ts";
import { appliedSpecFile } from "./applied-spec.ts";
import { newestPlanFile } from "./choose-spec.ts";
import { journalFile, migrationDir, restoreDir } from "./cluster-files.ts";

/** Files of others are kept, and so are their directories. */
export function removeClusterDir(directory: string): void {
  const journal = journalFile(directory);
  const ours = [
    journal,
    ...Object.values(keptJournals(journal)),
    join(directory, newestPlanFile),
    join(directory, appliedSpecFile),
    lockDir(directory),
    restoreDir(directory),
    migrationDir(directory),
  ];
  // Temporary files of a killed run.
  const aside = existsSync(directory) ? readdirSync(directory).filter((file) => /\.\d+\.tmp$/.test(file)) : [];
  for (const path of [...ours, ...aside.map((file) => join(directory, file))]) {
    rmSync(path, { recursive: true, force: true });
  }
  removeIfEmpty(join(directory, "machines"));
  removeIfEmpty(directory);
  removeIfEmpty(dirname(directory));
}

function removeIfEmpty(directory: string): void {
  if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
}
