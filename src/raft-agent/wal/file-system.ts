/**
 * The disk as used by the log and the snapshots: few calls, each with its durability promise. One implementation is
 * the real disk; another, in the simulator, loses, tears, flips and stalls. Paths are relative to the root of the
 * implementation.
 */
export type FileSystem = {
  /** Names in a directory, sorted; an absent directory is empty. */
  list(directory: string): Promise<string[]>;
  /** Creates a directory and its parents, durably. */
  makeDir(directory: string): Promise<void>;
  /** Opens for reading and writing, or only for reading; `create` creates the file and fails if it already exists. */
  open(path: string, options: { readonly create: boolean; readonly readOnly?: boolean }): Promise<FileHandle>;
  /** Atomic; replaces `to`; durable only after `syncDir`. */
  rename(from: string, to: string): Promise<void>;
  /** Fails when there is no such file. */
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals inside `directory` durable. */
  syncDir(directory: string): Promise<void>;
  /**
   * Takes `path` as a lock with one holder at a time, among all processes of this machine, which is released when its
   * holder dies, however it dies. @throws HaplanError `file-system/locked` at once when another process holds it.
   */
  lock(path: string): Promise<DirLock>;
};

export type DirLock = { release(): Promise<void> };

export type FileHandle = {
  size(): Promise<number>;
  /** Reads up to `length` bytes at `offset`; fewer at the end of the file. The caller owns the result. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Writes all of `bytes` at `offset`; durable only after `sync`. The bytes may be reused once it resolves. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * `write` and `sync` in one round trip to the disk; makes these bytes durable, promises nothing about earlier
   * writes. A rejection is as final as that of `sync`.
   */
  writeDurably(offset: number, bytes: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  /** fdatasync. A rejection is final: the caller must stop writing and never retry on this file. */
  sync(): Promise<void>;
  close(): Promise<void>;
};
