/** A unit's files on disk: written with placeholders replaced, and checked later for changes by others. */
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, normalize } from "node:path";
import { makeDirDurably, type StagedFile, stageFile, stageFiles } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import {
  dataDirPlaceholder,
  interfacePlaceholders,
  type UnitDefinition,
  type UnitFile,
  unitDirPlaceholder,
} from "../../units/unit-definition.ts";
import type { ProcessRequest, UnitOwner } from "../supervisor.ts";
import { contentDigest, unitDigest, unitRestartDigest } from "../unit-digest.ts";
import { readJson, type UnitPaths } from "./machine-dir.ts";
import { interfaceOf } from "./network-interfaces.ts";
import { openToGroup } from "./open-to-group.ts";
import { isChanging } from "./unit-change.ts";
import type { UnitCopies } from "./unit-copies.ts";

/** The record of a unit; files by digest only, because they may be secret. */
export type UnitRecord = {
  readonly name: string;
  readonly digest: string;
  readonly restartDigest: string;
  readonly program: UnitDefinition["program"];
  readonly listens: readonly string[];
  readonly files: readonly { readonly path: string; readonly mode: number; readonly digest: string }[];
  /** Absent in the record of an earlier version. */
  readonly copies?: UnitDefinition["copies"];
  readonly watches?: UnitDefinition["watches"];
  /** The version of its program; absent for a system program, and in records of the first release. */
  readonly artifact?: string;
  /** Absent where nothing runs, and in records of the first release. */
  readonly command?: UnitCommand;
};

/** How its process is started, with placeholders replaced. */
export type UnitCommand = Pick<
  ProcessRequest,
  "file" | "arguments" | "environment" | "reloadSignal" | "capabilities" | "directories"
> & {
  /** The program's own file: `file` itself, or what an interpreter runs. */
  readonly program: string;
};

/** Replaces the placeholders of the unit's files and the machine's data. */
export type FillIn = (text: string) => string;

export function createFillIn(paths: Pick<UnitPaths, "files">, dataDir: string): FillIn {
  return (text) =>
    text
      .replaceAll(unitDirPlaceholder, paths.files)
      .replaceAll(dataDirPlaceholder, dataDir)
      .replace(interfacePlaceholders, (_, address: string) => interfaceOf(address));
}

export type WriteUnitOptions = {
  /** Absent where nothing runs. */
  readonly command?: UnitCommand;
  readonly fillIn: FillIn;
  readonly owner: UnitOwner | null;
  readonly copies: UnitCopies;
};

/** Makes the directory contain exactly the unit's files. */
export function writeUnitFiles(paths: UnitPaths, unit: UnitDefinition, options: WriteUnitOptions): void {
  stageUnitFiles(paths, unit, options).commit();
}

/** Writes the unit's files beside those in force, which `commit` replaces. @throws the system's error; nothing has changed */
export function stageUnitFiles(
  paths: UnitPaths,
  unit: UnitDefinition,
  { command, fillIn, owner, copies }: WriteUnitOptions,
): StagedFile {
  copies.assertFree(unit);
  const written = unit.files.map((file) => ({
    ...file,
    content: typeof file.content === "string" ? fillIn(file.content) : file.content,
  }));
  const record: UnitRecord = {
    name: unit.name,
    digest: unitDigest(unit),
    restartDigest: unitRestartDigest(unit),
    program: unit.program,
    listens: unit.listens,
    files: written.map(({ path, mode, content }) => ({ path, mode, digest: contentDigest(content) })),
    ...(unit.copies === undefined ? {} : { copies: unit.copies }),
    ...(unit.watches === undefined ? {} : { watches: unit.watches }),
    ...(unit.artifact === undefined ? {} : { artifact: unit.artifact.name }),
    ...(command === undefined ? {} : { command }),
  };
  return stageRecordedFiles(paths, record, { files: written, owner, copies });
}

type RecordedFiles = Pick<WriteUnitOptions, "owner" | "copies"> & { readonly files: readonly UnitFile[] };

/** As `stageUnitFiles`. Files that are as they should be are left alone: they may be on a disk that cannot be written. */
export function stageRecordedFiles(
  paths: UnitPaths,
  record: UnitRecord,
  { files, owner, copies }: RecordedFiles,
): StagedFile {
  makeDirDurably(paths.files);
  const wanted = files.map(({ path, mode, content }) => ({
    path: fileInside(paths.files, path),
    mode,
    content,
    owner,
  }));
  for (const { path } of wanted) makeDirDurably(dirname(path));
  const changed = wanted.filter(
    ({ path, mode, content }) =>
      !isIntact(path, { path, mode, digest: contentDigest(content) }) || !belongsTo(path, owner),
  );
  const unitFiles = stageFiles(changed);
  let recordFile: StagedFile;
  try {
    recordFile = stageFile(paths.record, `${JSON.stringify(record, null, 2)}\n`);
  } catch (error) {
    unitFiles.discard();
    throw error;
  }
  const discard = (): void => {
    unitFiles.discard();
    recordFile.discard();
  };
  const commit = (): void => {
    try {
      unitFiles.commit();
      copies.write(record, record.files, (path) => readFileSync(fileInside(paths.files, path)));
      removeStaleFiles(paths, record.files);
      if (owner !== null) openTo(owner, paths);
    } catch (error) {
      discard();
      throw error;
    }
    // Last, so that incomplete files never count.
    recordFile.commit();
  };
  return { commit, discard };
}

function belongsTo(path: string, owner: UnitOwner | null): boolean {
  const { uid, gid } = statSync(path);
  return owner === null || (uid === owner.userId && gid === owner.groupId);
}

/** The unit's files as they are; null if one of them cannot be read. */
export function readUnitFiles(paths: UnitPaths, { files }: UnitRecord): readonly UnitFile[] | null {
  try {
    return files.map(({ path, mode }) => ({ path, mode, content: readFileSync(fileInside(paths.files, path)) }));
  } catch {
    return null;
  }
}

/**
 * Lets the unit's user read its files and no other's: every directory stays root's, so that the unit cannot put a link in the
 * place of a file that is written later.
 */
export function openTo(owner: UnitOwner, paths: UnitPaths): void {
  const above = [
    dirname(paths.root),
    paths.root,
    join(paths.root, "machines"),
    join(paths.root, "machines", paths.machine),
  ];
  const below = readdirSync(paths.files, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  for (const directory of [...above, dirname(paths.directory), paths.directory, paths.files, ...below])
    openToGroup(directory, owner);
}

function removeStaleFiles(paths: UnitPaths, kept: UnitRecord["files"]): void {
  const wanted = new Set(kept.map((file) => file.path));
  for (const file of readUnitRecord(paths)?.files ?? []) {
    if (!wanted.has(file.path)) rmSync(fileInside(paths.files, file.path), { force: true });
  }
}

export function readUnitRecord(paths: UnitPaths): UnitRecord | null {
  return readJson<UnitRecord>(paths.record);
}

/** The recorded digest as long as the files are as they were written, else another one. */
export function observedDigest(paths: UnitPaths, record: UnitRecord, copies: UnitCopies): string {
  return digestWith(paths, record, changedUnitFiles(paths, record, copies));
}

/** The digest of the definition where these files were changed, or where its process may not have been started with it. */
export function digestWith(paths: UnitPaths, { digest }: UnitRecord, changed: readonly string[]): string {
  const differences = [...changed, ...(isChanging(paths) ? ["unfinished"] : [])];
  return differences.length === 0 ? digest : contentDigest(`${digest} changed ${differences.join(" ")}`);
}

/** Paths of the unit's files that are not as they were written. */
export function changedUnitFiles(paths: UnitPaths, record: UnitRecord, copies: UnitCopies): readonly string[] {
  const byPath = new Map(record.files.map((file) => [file.path, file]));
  const places = [
    ...record.files.map((file) => ({ file, path: fileInside(paths.files, file.path) })),
    ...(record.copies ?? []).map(({ file, to }) => ({ file: byPath.get(file), path: copies.pathOf(to) })),
  ];
  return places.filter(({ file, path }) => file === undefined || !isIntact(path, file)).map(({ path }) => path);
}

function isIntact(path: string, file: UnitRecord["files"][number]): boolean {
  try {
    return (statSync(path).mode & 0o777) === file.mode && contentDigest(readFileSync(path)) === file.digest;
  } catch {
    return false;
  }
}

function fileInside(directory: string, path: string): string {
  const clean = normalize(path);
  if (isAbsolute(clean) || clean.startsWith("..") || clean === ".") {
    throw new HaplanError(
      "provider/bad-name",
      `Cannot write unit file "${path}": it is outside of the unit's directory`,
    );
  }
  return join(directory, clean);
}
