/**
 * Files of a unit that are placed elsewhere on the machine, such as in /etc. The ledger, a file in the unit's directory, lists
 * them before they are written, so that whatever a crash leaves is known as haplan's. A file that is not in the ledger is
 * never overwritten, and one that was changed since is never removed.
 */
import { chmodSync, existsSync, lstatSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { dirname, isAbsolute, join, normalize } from "node:path";
import { makeDirDurably, syncDir, writeFileDurably } from "../../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import { contentDigest } from "../unit-digest.ts";
import { readJson, type UnitPaths } from "./machine-dir.ts";

type Ledger = {
  /** Null: about to be written. */
  readonly copies: readonly { readonly to: string; readonly digest: string | null }[];
  /** Directories that haplan made for them. */
  readonly directories: readonly string[];
};

type WrittenFile = { readonly path: string; readonly mode: number; readonly digest: string };

const directoryMode = 0o755;

export class UnitCopies {
  readonly #paths: UnitPaths;
  readonly #root: string;

  /** `systemRoot`: the root of absolute paths; null: a directory of the machine, which has no file system of its own. */
  constructor(paths: UnitPaths, systemRoot: string | null) {
    this.#paths = paths;
    this.#root = systemRoot ?? join(dirname(dirname(paths.directory)), "root");
  }

  /** @throws HaplanError `provider/bad-name` for a path that is not absolute and clean */
  pathOf(to: string): string {
    if (!isAbsolute(to) || normalize(to) !== to) {
      throw new HaplanError("provider/bad-name", `Cannot write "${to}": it is not an absolute path`);
    }
    return join(this.#root, to);
  }

  /** The paths of this unit's copies at which there is a file that haplan did not write. */
  foreign({ copies = [] }: UnitDefinition): readonly string[] {
    const own = new Set(this.#ledger().copies.map(({ to }) => to));
    return copies.map(({ to }) => to).filter((to) => !own.has(to) && isThere(this.pathOf(to)));
  }

  /** @throws HaplanError `provider/file-taken` */
  assertFree(unit: UnitDefinition): void {
    const [first] = this.foreign(unit);
    if (first === undefined) return;
    throw new HaplanError(
      "provider/file-taken",
      `Cannot write "${first}": haplan did not write the file that is there`,
    );
  }

  /** Writes the copies of a unit whose files are written, and removes those that it no longer has. */
  write(
    { copies = [] }: { readonly copies?: UnitDefinition["copies"] },
    files: readonly WrittenFile[],
    read: (path: string) => Uint8Array,
  ): void {
    const before = this.#ledger();
    if (copies.length === 0 && before.copies.length === 0) return;
    const wanted = copies.map(({ file, to }) => {
      const written = files.find(({ path }) => path === file);
      if (written === undefined) throw new Error(`the unit has no file "${file}" to copy to ${to}`);
      return { to, file: written };
    });
    const missing = [...new Set(wanted.flatMap(({ to }) => this.#missingDirectories(dirname(to))))];
    const directories = [...new Set([...before.directories, ...missing])];
    const fresh = wanted.filter(({ to }) => !before.copies.some((copy) => copy.to === to));
    this.#record({ copies: [...before.copies, ...fresh.map(({ to }) => ({ to, digest: null }))], directories });
    for (const { to, file } of wanted) {
      const path = this.pathOf(to);
      makeDirDurably(dirname(path), directoryMode);
      writeFileDurably(path, read(file.path), { mode: file.mode });
      chmodSync(path, file.mode);
    }
    const stale = before.copies.filter(({ to }) => !wanted.some((copy) => copy.to === to));
    for (const copy of stale) this.#removeCopy(copy);
    this.#record({ copies: wanted.map(({ to, file }) => ({ to, digest: file.digest })), directories });
  }

  /** Removes the copies that are as haplan wrote them, and the directories that it made for them once they are empty. */
  remove(): void {
    const { copies, directories } = this.#ledger();
    for (const copy of copies) this.#removeCopy(copy);
    for (const directory of [...directories].sort((a, b) => b.length - a.length)) removeIfEmpty(this.pathOf(directory));
  }

  #removeCopy({ to, digest }: Ledger["copies"][number]): void {
    const path = this.pathOf(to);
    // A part of a write that was cut short is not here: files are renamed into their places.
    if (!isThere(path) || (digest !== null && contentDigest(readFileSync(path)) !== digest)) return;
    rmSync(path);
    syncDir(dirname(path));
  }

  #missingDirectories(directory: string): readonly string[] {
    if (directory === "/" || existsSync(this.pathOf(directory))) return [];
    return [...this.#missingDirectories(dirname(directory)), directory];
  }

  get #file(): string {
    return join(this.#paths.directory, "copies.json");
  }

  #ledger(): Ledger {
    return readJson<Ledger>(this.#file) ?? { copies: [], directories: [] };
  }

  #record(ledger: Ledger): void {
    makeDirDurably(this.#paths.directory);
    writeFileDurably(this.#file, `${JSON.stringify(ledger, null, 2)}\n`);
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(systemErrorCode(error) ?? "")) throw error;
  }
}
