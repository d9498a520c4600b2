/** An artifact that the spec names, unpacked below the cluster's directory. */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { artifactCacheDir } from "../../artifact/artifact-cache-dir.ts";
import { type OpenArtifactRequest, openGivenArtifact } from "../../artifact/given-artifact.ts";
import { makeDirDurably, syncDir } from "../../base/durable-file.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { UnitArtifact } from "../../units/unit-definition.ts";
import { artifactsDir, listDir, machineDirs, machinePaths, readJson, unitPaths } from "./machine-dir.ts";
import type { UnitRecord } from "./unit-files.ts";

/** Of versions that no unit runs, the newest are kept: the one before, for a way back, and one more. */
const unusedMax = 2;
const shownDigits = 12;

/** `root`: the cluster's directory. @throws HaplanError `artifact/...`, or `provider/architecture` */
export async function unpackedArtifact(
  root: string,
  request: Omit<OpenArtifactRequest, "cacheDirectory">,
): Promise<UnitArtifact> {
  const given = await openGivenArtifact({ ...request, cacheDirectory: artifactCacheDir() });
  const { path, sha256, version, architecture } = given;
  if (architecture !== process.arch)
    throw new HaplanError("provider/architecture", `"${path}" is for ${architecture}, this machine is ${process.arch}`);
  const unpacked = join(artifactsDir(root), sha256);
  if (!existsSync(unpacked)) await unpack(path, unpacked);
  pruneArtifacts(root, sha256);
  return { name: `${version} (sha256:${sha256.slice(0, shownDigits)})`, programsDir: join(unpacked, "cmd") };
}

async function unpack(file: string, directory: string): Promise<void> {
  const aside = `${directory}.${process.pid}.new`;
  try {
    makeDirDurably(dirname(directory));
    mkdirSync(aside, { mode: 0o700 });
    await execa("tar", ["-xzf", file, "--strip-components=1", "-C", aside]);
    renameSync(aside, directory);
    syncDir(dirname(directory));
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (existsSync(directory)) return;
    throw new HaplanError("artifact/unreadable", `Cannot unpack "${file}": ${errorText(error)}`, { cause: error });
  }
}

function pruneArtifacts(root: string, wanted: string): void {
  const used = programsInUse(root);
  const changedMs = (name: string): number => statSync(join(artifactsDir(root), name)).mtimeMs;
  const unused = listDir(artifactsDir(root))
    .filter((name) => /^[0-9a-f]{64}$/.test(name) && name !== wanted)
    .filter((name) => !used.some((program) => program.includes(name)))
    .sort((a, b) => changedMs(b) - changedMs(a));
  for (const name of unused.slice(unusedMax)) rmSync(join(artifactsDir(root), name), { recursive: true, force: true });
}

/** The paths of all programs of this cluster's units. */
function programsInUse(root: string): readonly string[] {
  return machineDirs(root).flatMap((machine) =>
    listDir(machinePaths(root, machine).units).flatMap((unit) => {
      const record = readJson<UnitRecord>(unitPaths(root, machine, unit).record);
      return record?.command === undefined ? [] : [record.command.program];
    }),
  );
}
