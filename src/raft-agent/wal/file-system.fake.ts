/**
 * A disk in memory that fails like a real one, deterministically by the seed. It keeps two versions of everything:
 * what a reader sees (the page cache) and what would survive a power loss. A crash keeps, of the unsynced writes, an
 * arbitrary subset of 512-byte sectors, and of the changes to a directory an arbitrary prefix (a journal keeps their
 * order). Used by this module's tests and by the simulator.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { Random } from "../../base/random.ts";
import type { DirLock, FileHandle, FileSystem } from "./file-system.ts";
import { sectorBytes } from "./segment-format.ts";

type FileOperation = "open" | "read" | "write" | "sync" | "rename" | "remove" | "syncDir";

/** The faults to inject; set and cleared at any time. */
export type DiskFaults = {
  /** Called before each operation: may wait (a stall) or throw (a failure: the operation then has no effect). */
  before?: (operation: FileOperation, path: string) => Promise<void> | void;
  /** Writes that would raise the total size of the files above this fail with ENOSPC. */
  capacityBytes?: number;
};

/** A file's bytes, as seen by readers and as durable; the two may differ in the `dirty` sectors. */
type Inode = { seen: Uint8Array; seenSize: number; durable: Uint8Array; durableSize: number; dirty: Set<number> };

type DirChange =
  | { readonly kind: "link"; readonly path: string; readonly inode: Inode }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string };

export class MemoryFileSystem implements FileSystem {
  readonly faults: DiskFaults = {};
  #seen = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #changes: DirChange[] = [];
  readonly #locks = new Set<string>();
  /** Handles from before the last crash or kill no longer work. */
  #epoch = 0;

  /**
   * The disk as seen by a current process: every call fails once the machine has crashed or the process was killed.
   * Code that outlives a crash in a test has to use this instead of the disk itself.
   */
  mount(): FileSystem {
    const epoch = this.#epoch;
    const alive = <Result>(work: () => Promise<Result>): Promise<Result> =>
      epoch === this.#epoch ? work() : Promise.reject(systemError("EIO", "the process is dead"));
    return {
      list: (directory) => alive(() => this.list(directory)),
      makeDir: () => alive(() => this.makeDir()),
      open: (path, options) => alive(() => this.open(path, options)),
      rename: (from, to) => alive(() => this.rename(from, to)),
      remove: (path) => alive(() => this.remove(path)),
      syncDir: (directory) => alive(() => this.syncDir(directory)),
      lock: (path) => alive(() => this.lock(path)),
    };
  }

  /** Simulates a power loss and restart: open handles fail, locks are released, unsynced bytes survive at random. */
  crash(random: Random): void {
    const kept = random.below(this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) applyChange(this.#durable, change);
    for (const inode of new Set(this.#durable.values())) forgetUnsynced(inode, random);
    this.#seen = new Map(this.#durable);
    this.kill();
    this.#changes = [];
  }

  /**
   * Kills the process but not the machine: handles fail and locks are released, all written bytes stay in the page
   * cache.
   */
  kill(): void {
    this.#epoch++;
    this.#locks.clear();
  }

  /** An independent copy of what a reader sees, all of it durable. */
  clone(): MemoryFileSystem {
    const copy = new MemoryFileSystem();
    for (const [path, inode] of this.#seen) copy.put(path, inode.seen.slice(0, inode.seenSize));
    return copy;
  }

  /** The content of a file as seen by a reader; tests and dumps only. */
  contentOf(path: string): Uint8Array {
    const inode = this.#inodeAt(path);
    return inode.seen.slice(0, inode.seenSize);
  }

  /** Creates or replaces a file, durably. */
  put(path: string, bytes: Uint8Array): void {
    const inode = newInode();
    inode.seen = Uint8Array.from(bytes);
    inode.durable = Uint8Array.from(bytes);
    inode.seenSize = inode.durableSize = bytes.length;
    this.#seen.set(path, inode);
    this.#durable.set(path, inode);
  }

  /** Flips one bit of a file, both durable and cached: bit rot. */
  flipBit(path: string, bit: number): void {
    const bytes = this.contentOf(path);
    bytes[bit >>> 3]! ^= 1 << (bit & 7);
    this.put(path, bytes);
  }

  async list(directory: string): Promise<string[]> {
    const prefix = `${directory}/`;
    const names = [...this.#seen.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
    return names.filter((name) => !name.includes("/")).sort();
  }

  async makeDir(): Promise<void> {}

  async open(path: string, options: { readonly create: boolean; readonly readOnly?: boolean }): Promise<FileHandle> {
    await this.faults.before?.("open", path);
    if (options.create) {
      if (this.#seen.has(path)) throw systemError("EEXIST", path);
      const inode = newInode();
      this.#seen.set(path, inode);
      this.#changes.push({ kind: "link", path, inode });
    }
    return this.#handle(path, this.#inodeAt(path));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.faults.before?.("rename", from);
    this.#inodeAt(from);
    this.#change({ kind: "rename", from, to });
  }

  async remove(path: string): Promise<void> {
    await this.faults.before?.("remove", path);
    this.#inodeAt(path);
    this.#change({ kind: "remove", path });
  }

  async syncDir(directory: string): Promise<void> {
    await this.faults.before?.("syncDir", directory);
    for (const change of this.#changes) applyChange(this.#durable, change);
    this.#changes = [];
  }

  async lock(path: string): Promise<DirLock> {
    if (this.#locks.has(path)) throw new HaplanError("file-system/locked", `Cannot lock "${path}": it is already held`);
    this.#locks.add(path);
    return { release: async () => void this.#locks.delete(path) };
  }

  #change(change: DirChange): void {
    applyChange(this.#seen, change);
    this.#changes.push(change);
  }

  #inodeAt(path: string): Inode {
    const inode = this.#seen.get(path);
    if (inode === undefined) throw systemError("ENOENT", path);
    return inode;
  }

  #handle(path: string, inode: Inode): FileHandle {
    const epoch = this.#epoch;
    const enter = async (operation: FileOperation): Promise<void> => {
      if (epoch !== this.#epoch) throw systemError("EIO", path);
      await this.faults.before?.(operation, path);
      if (epoch !== this.#epoch) throw systemError("EIO", path);
    };
    const handle: FileHandle = {
      size: async () => inode.seenSize,
      read: async (offset, length) => {
        await enter("read");
        return inode.seen.slice(offset, Math.min(offset + length, inode.seenSize));
      },
      write: async (offset, bytes) => {
        await enter("write");
        this.#checkCapacity(path, inode, offset + bytes.length);
        writeInto(inode, offset, bytes);
      },
      writeDurably: async (offset, bytes) => {
        await handle.write(offset, bytes);
        await handle.sync();
      },
      truncate: async (size) => {
        await enter("write");
        if (size > inode.seenSize) writeInto(inode, inode.seenSize, new Uint8Array(size - inode.seenSize));
        inode.seen.fill(0, size);
        inode.seenSize = size;
      },
      sync: async () => {
        await enter("sync");
        makeDurable(inode);
      },
      close: async () => {},
    };
    return handle;
  }

  #checkCapacity(path: string, inode: Inode, end: number): void {
    if (this.faults.capacityBytes === undefined || end <= inode.seenSize) return;
    let total = end - inode.seenSize;
    for (const each of new Set(this.#seen.values())) total += each.seenSize;
    if (total > this.faults.capacityBytes) throw systemError("ENOSPC", path);
  }
}

function newInode(): Inode {
  return { seen: new Uint8Array(0), seenSize: 0, durable: new Uint8Array(0), durableSize: 0, dirty: new Set() };
}

function applyChange(directory: Map<string, Inode>, change: DirChange): void {
  if (change.kind === "link") directory.set(change.path, change.inode);
  else if (change.kind === "remove") directory.delete(change.path);
  else {
    const inode = directory.get(change.from);
    if (inode === undefined) return;
    directory.delete(change.from);
    directory.set(change.to, inode);
  }
}

function writeInto(inode: Inode, offset: number, bytes: Uint8Array): void {
  const end = offset + bytes.length;
  if (end > inode.seen.length) inode.seen = grown(inode.seen, Math.max(end, inode.seen.length * 2));
  inode.seen.set(bytes, offset);
  inode.seenSize = Math.max(inode.seenSize, end);
  for (let sector = Math.floor(offset / sectorBytes); sector * sectorBytes < end; sector++) inode.dirty.add(sector);
}

function makeDurable(inode: Inode): void {
  if (inode.durable.length < inode.seen.length) inode.durable = grown(inode.durable, inode.seen.length);
  for (const sector of inode.dirty) copySector(inode.seen, inode.durable, sector);
  inode.durableSize = inode.seenSize;
  inode.dirty.clear();
}

/** Each unsynced sector is kept or lost independently; the size is the old or the new one. */
function forgetUnsynced(inode: Inode, random: Random): void {
  if (inode.durable.length < inode.seen.length) inode.durable = grown(inode.durable, inode.seen.length);
  for (const sector of inode.dirty) {
    if (random.below(2) === 0) copySector(inode.seen, inode.durable, sector);
  }
  if (random.below(2) === 0) inode.durableSize = inode.seenSize;
  inode.durable.fill(0, inode.durableSize);
  inode.seen = inode.durable.slice();
  inode.seenSize = inode.durableSize;
  inode.dirty.clear();
}

function copySector(from: Uint8Array, to: Uint8Array, sector: number): void {
  const start = sector * sectorBytes;
  to.set(from.subarray(start, Math.min(start + sectorBytes, from.length)), start);
}

function grown(bytes: Uint8Array, size: number): Uint8Array {
  const larger = new Uint8Array(size);
  larger.set(bytes);
  return larger;
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
