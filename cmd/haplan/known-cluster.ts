/** Whether haplan has made a cluster from this directory: a run that was refused leaves no more than its lock. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { authorityDir, journalFile } from "./cluster-files.ts";

/** `directory`: the cluster's, which need not be there. Apart from its state, which may be elsewhere. */
export function isKnownCluster(directory: string): boolean {
  return [authorityDir(directory), journalFile(directory), join(directory, "machines")].some((path) =>
    existsSync(path),
  );
}
