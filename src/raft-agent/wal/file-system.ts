/**
 * The disk as the log and the snapshots see it: few calls, each with the durability it promises. One implementation
 * is the real disk, another, in the simulator, forgets, tears, flips and stalls.
 * Paths are relative to the root that an implementation was made for.
 */
export type FileSystem = {
  /** Names in a directory, sorted; an absent directory is empty. */
  list(directory: string): Promise<string[]>;
  /** Creates a directory and its parents, durably. */
  makeDir(directory: string): Promise<void>;
  /**
   * Opens for reading and writing, or only for reading; creates the file when `create` is set and fails if it then
   * exists already.
   */
  open(path: string, options: { readonly create: boolean; readonly readOnly?: boolean }): Promise<FileHandle>;
  /** Atomic; replaces `to`; durable only after `syncDir`. */
  rename(from: string, to: string): Promise<void>;
  /** Fails when there is no such file. */
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals inside `directory` durable. */
  syncDir(directory: string): Promise<void>;
  /**
   * Takes `path` as a lock that one holder at a time can have, among all processes of this machine, and that falls free
   * when its holder dies, however it dies.
   * @throws HaplanError `file-system/locked` at once when somebody else has it.
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
   * `write` and `sync` as one trip to the disk; makes these bytes durable, promises nothing about earlier writes. A
   * rejection is as final as that of `sync`.
   */
  writeDurably(offset: number, bytes: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  /** fdatasync. A rejection is final: the caller must stop writing and never try again on this file. */
  sync(): Promise<void>;
  close(): Promise<void>;
};
