/**
 * Versions of a file's format. A program writes the current one, reads the older ones by taking them up version by version,
 * and refuses what is newer: to guess at it could lose what it says.
 */
import { assert } from "./assert.ts";

export type FileContent = Readonly<Record<string, unknown>>;

export type FileFormat = {
  /** What is written. The first version is 1. */
  readonly current: number;
  /** For each version before the current one, what makes its content one of the next version. Pure. */
  readonly upgrades: { readonly [version: number]: (content: FileContent) => FileContent };
};

/** How the version that was found compares: `unknown` for what is no version at all. */
export type FoundVersion = "readable" | "newer" | "unknown";

export function compareVersion({ current }: FileFormat, found: unknown): FoundVersion {
  if (typeof found !== "number" || !Number.isSafeInteger(found) || found < 1) return "unknown";
  return found <= current ? "readable" : "newer";
}

/** The content as the current version has it. `found` has to be readable. */
export function upgradeContent({ current, upgrades }: FileFormat, found: number, content: FileContent): FileContent {
  let upgraded = content;
  for (let version = found; version < current; version++) {
    const upgrade = upgrades[version];
    assert(upgrade !== undefined, () => `a file of version ${version} has a way to version ${version + 1}`);
    upgraded = { ...upgrade(upgraded), version: version + 1 };
  }
  return upgraded;
}
