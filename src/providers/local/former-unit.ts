/**
 * A unit as it was before its program got another version: kept in one file beside it, so that the change can be undone
 * exactly. The arguments and files that one version was given may mean nothing to another.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileDurably } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitDefinition, UnitFile } from "../../units/unit-definition.ts";
import { unitDigest } from "../unit-digest.ts";
import { readJson, type UnitPaths } from "./machine-dir.ts";
import type { UnitCommand, UnitRecord } from "./unit-files.ts";

export type FormerUnit = {
  readonly record: UnitRecord;
  readonly command: UnitCommand;
  readonly files: readonly UnitFile[];
};

/** Files hold keys: only the user that runs haplan may read it. */
type KeptUnit = { readonly record: UnitRecord; readonly files: { readonly [path: string]: string } };

function pathOf({ directory }: UnitPaths): string {
  return join(directory, "former.json");
}

/**
 * Keeps the present unit before `unit` takes its place, if that is of another version. The one that was kept before goes
 * with the next change that is none of the version. A program that was replaced in place cannot be kept.
 */
export function keepFormer(paths: UnitPaths, record: UnitRecord, unit: UnitDefinition, next: UnitCommand): void {
  if (record.artifact === unit.artifact?.name) {
    if (record.digest !== unitDigest(unit)) forgetFormer(paths);
    return;
  }
  const isElsewhere = record.command !== undefined && record.command.program !== next.program;
  if (!isElsewhere) {
    forgetFormer(paths);
    return;
  }
  const files = record.files.map(
    ({ path }) => [path, readFileSync(join(paths.files, path)).toString("base64")] as const,
  );
  const kept: KeptUnit = { record, files: Object.fromEntries(files) };
  writeFileDurably(pathOf(paths), `${JSON.stringify(kept)}\n`);
}

export function forgetFormer(paths: UnitPaths): void {
  rmSync(pathOf(paths), { force: true });
}

/** @throws HaplanError `provider/no-former-version` */
export function readFormer(paths: UnitPaths): FormerUnit {
  const kept = readJson<KeptUnit>(pathOf(paths));
  const command = kept?.record.command;
  if (kept === null || command === undefined)
    throw noFormer(paths, "none was kept, or it was replaced in the place where it was");
  if (!existsSync(command.file) || !existsSync(command.program))
    throw noFormer(paths, `"${command.program}" does not exist any more`);
  const files = kept.record.files.map(({ path, mode }) => ({
    path,
    mode,
    content: Buffer.from(kept.files[path] ?? "", "base64"),
  }));
  return { record: kept.record, command, files };
}

function noFormer({ unit, machine }: UnitPaths, why: string): HaplanError {
  return new HaplanError(
    "provider/no-former-version",
    `The former version of unit "${unit}" of ${machine} cannot be started: ${why}`,
  );
}
