/** After destroy: removes what haplan has written for a cluster, and the folders that this leaves empty. */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { lockFolder } from "../../src/state/local-backend.ts";
import { appliedSpecFile } from "./applied-spec.ts";
import { newestPlanFile } from "./choose-spec.ts";
import { journalFile } from "./cluster-files.ts";

/** Files that somebody else has put there stay, and so do their folders. */
export function removeClusterFolder(folder: string): void {
  const journal = journalFile(folder);
  const ours = [
    journal,
    `${journal}.previous`,
    join(folder, newestPlanFile),
    join(folder, appliedSpecFile),
    lockFolder(folder),
  ];
  // What a run that was killed was just writing aside.
  const aside = existsSync(folder) ? readdirSync(folder).filter((file) => /\.\d+\.tmp$/.test(file)) : [];
  for (const path of [...ours, ...aside.map((file) => join(folder, file))]) {
    rmSync(path, { recursive: true, force: true });
  }
  removeIfEmpty(join(folder, "machines"));
  removeIfEmpty(folder);
  removeIfEmpty(dirname(folder));
}

function removeIfEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}
