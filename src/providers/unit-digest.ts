import { createHash } from "node:crypto";
import { canonicalDigest } from "../base/canonical-json.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";

/**
 * SHA-256 over a unit's definition with placeholders, so that it is the same on every machine and can be computed
 * before there is one. File contents are included as digests.
 */
export function unitDigest(unit: UnitDefinition): string {
  return canonicalDigest(canonicalUnit(unit, unit.files));
}

/** Like `unitDigest`, but ignores the contents of files that the unit can reload: equal means no restart is needed. */
export function unitRestartDigest(unit: UnitDefinition): string {
  const reloaded = new Set(unit.reload?.files);
  return canonicalDigest(
    canonicalUnit(
      unit,
      unit.files.map((file) => (reloaded.has(file.path) ? { ...file, content: "" } : file)),
    ),
  );
}

export function contentDigest(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function canonicalUnit(unit: UnitDefinition, files: UnitDefinition["files"]): object {
  return {
    name: unit.name,
    program: unit.program,
    arguments: unit.arguments,
    environment: unit.environment,
    files: [...files]
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map((file) => ({ path: file.path, mode: file.mode, content: contentDigest(file.content) })),
    listens: unit.listens,
    reload: unit.reload ?? null,
    ...(unit.copies === undefined ? {} : { copies: unit.copies }),
    ...(unit.watches === undefined ? {} : { watches: unit.watches }),
    capabilities: unit.capabilities,
    ...(unit.directories === undefined ? {} : { directories: unit.directories }),
  };
}
