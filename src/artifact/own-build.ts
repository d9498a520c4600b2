/** The haplan that runs: its version, and a digest of all that goes into its artifacts, whatever their architecture. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { packageDir, packageVersion } from "../base/package-dir.ts";
import { filesBelow } from "./files-below.ts";

export async function readOwnBuild(): Promise<{ readonly version: string; readonly digest: string }> {
  return { version: packageVersion(), digest: await digestOfBuild(packageDir()) };
}

export async function digestOfBuild(packageDirectory: string): Promise<string> {
  const hash = createHash("sha256");
  for (const part of ["dist/cmd", "artifact", "templates"]) {
    for (const file of (await filesBelow(join(packageDirectory, part))).sort())
      hash.update(`/${part}/${file}\n`).update(await readFile(join(packageDirectory, part, file)));
  }
  return hash.digest("hex");
}
