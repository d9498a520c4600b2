/**
 * Writes files that must survive a crash: written to a temporary file, fsynced, renamed over the old one, and the
 * directory fsynced. A reader sees either the whole old file or the whole new one.
 */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

export type DurableFileOptions = {
  /** Permission bits; 0600 by default, because most of these files are secret. */
  readonly mode?: number;
  /** Null or absent: the user that writes it. */
  readonly owner?: { readonly userId: number; readonly groupId: number } | null;
};

/** A file that is written, with its space taken, and not in force yet. */
export type StagedFile = {
  /** Replaces the file. @throws the system's error; the old file is untouched */
  commit(): void;
  discard(): void;
};

/**
 * Replaces `path` with `content`.
 * @throws the system's error; the old file is untouched and no temporary file is left.
 */
export function writeFileDurably(path: string, content: string | Uint8Array, options: DurableFileOptions = {}): void {
  stageFile(path, content, options).commit();
}

/**
 * Writes `content` beside `path`, which `commit` then replaces without needing space.
 * @throws the system's error; no temporary file is left.
 */
export function stageFile(path: string, content: string | Uint8Array, options: DurableFileOptions = {}): StagedFile {
  const aside = `${path}.${process.pid}.tmp`;
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const discard = (): void => rmSync(aside, { force: true });
  const commit = (): void => {
    try {
      renameSync(aside, path);
    } catch (error) {
      discard();
      throw error;
    }
    syncDir(dirname(path));
  };
  try {
    const file = openSync(aside, "w", options.mode ?? 0o600);
    try {
      if (options.owner) fchownSync(file, options.owner.userId, options.owner.groupId);
      // Whatever the umask is.
      if (options.mode !== undefined) fchmodSync(file, options.mode);
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    discard();
    throw withPath(error, path);
  }
  return { commit, discard };
}

/** Stages several files, which `commit` replaces in their order. @throws as `stageFile`; none is left staged */
export function stageFiles(
  files: readonly (DurableFileOptions & { readonly path: string; readonly content: string | Uint8Array })[],
): StagedFile {
  const staged: StagedFile[] = [];
  const discard = (): void => {
    for (const each of staged) each.discard();
  };
  const orDiscard = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      discard();
      throw error;
    }
  };
  orDiscard(() => {
    for (const { path, content, ...options } of files) staged.push(stageFile(path, content, options));
  });
  const commit = (): void =>
    orDiscard(() => {
      for (const each of staged) each.commit();
    });
  return { commit, discard };
}

/** Appends to the file, which is created with its directory if it does not exist. A crash may leave a part of `text`. */
export function appendDurably(path: string, text: string): void {
  makeDirDurably(dirname(path));
  const bytes = Buffer.from(text);
  const file = openSync(path, "a", 0o600);
  try {
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  syncDir(dirname(path));
}

/** A failed write, such as of a full disk, does not say which file it was. */
function withPath(error: unknown, path: string): unknown {
  const isOfDescriptor = error instanceof Error && "syscall" in error && !("path" in error);
  return isOfDescriptor ? Object.assign(error, { path, message: `${error.message} '${path}'` }) : error;
}

/**
 * Creates a directory and its missing parents, private to the user by default. Does not use `recursive`: where the
 * system reports an existing parent as missing, as below /proc, Node.js would loop forever.
 * @throws the system's error
 */
export function makeDirDurably(path: string, mode = 0o700): void {
  if (isDir(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirDurably(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (isDir(path)) return;
    throw error;
  }
  syncDir(parent);
}

export function isDir(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** Makes renames, creations and removals in `path` durable. */
export function syncDir(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
