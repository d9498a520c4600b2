/**
 * A mark in a unit's directory from before its files are replaced until its former process is gone. Where a crash leaves it, nothing
 * says which definition the process has: the unit counts as changed, and is started anew.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileDurably } from "../../base/durable-file.ts";
import type { UnitPaths } from "./machine-dir.ts";

export function beginChange(paths: UnitPaths): void {
  writeFileDurably(markOf(paths), "");
}

export function endChange(paths: UnitPaths): void {
  rmSync(markOf(paths), { force: true });
}

export function isChanging(paths: UnitPaths): boolean {
  return existsSync(markOf(paths));
}

function markOf({ directory }: UnitPaths): string {
  return join(directory, "changing");
}
