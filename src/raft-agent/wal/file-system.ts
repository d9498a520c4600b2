/**
 * The disk as the log and the snapshots see it: few calls, each with the durability it promises. One implementation
 * is the real disk, another, in the simulator, forgets, tears, flips and stalls.
 * Paths are relative to the root that an implementation was made for.
 */
export type FileSystem = {
  /** Names in a folder, sorted; an absent folder is empty. */
  list(folder: string): Promise<string[]>;
  /** Creates a folder and its parents, durably. */
  makeFolder(folder: string): Promise<void>;
  /** Opens for reading and writing; creates the file when `create` is set and fails if it then exists already. */
  open(path: string, options: { readonly create: boolean }): Promise<FileHandle>;
  /** Atomic; durable only after `syncFolder`. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals inside `folder` durable. */
  syncFolder(folder: string): Promise<void>;
};

export type FileHandle = {
  size(): Promise<number>;
  /** Reads up to `length` bytes at `offset`; fewer at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Writes all of `bytes` at `offset`; durable only after `sync`. The bytes may be reused once it resolves. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  /** fdatasync. A rejection is final: the caller must stop writing and never try again on this file. */
  sync(): Promise<void>;
  close(): Promise<void>;
};
