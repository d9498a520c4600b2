/**
 * A disk in memory that fails the way disks fail, each time by the same dice. It keeps two versions of everything: what
 * a reader sees (the page cache) and what would survive the plug being pulled. A crash keeps, of what was not synced,
 * an arbitrary choice of 512-byte sectors, and of the changes to a directory an arbitrary first few (a journal keeps
 * their order). Used by this room's tests and by the simulator.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { Random } from "../../base/random.ts";
import type { DirLock, FileHandle, FileSystem } from "./file-system.ts";
import { sectorBytes } from "./segment-format.ts";

type FileOperation = "open" | "read" | "write" | "sync" | "rename" | "remove" | "syncDir";

/** What can go wrong; set and cleared at any time. */
export type DiskFaults = {
  /** Called before each operation: may wait (a stall) or throw (a failure: the operation then has no effect). */
  before?: (operation: FileOperation, path: string) => Promise<void> | void;
  /** Writes that would make the files' sizes together exceed this fail with ENOSPC. */
  capacityBytes?: number;
};

/** A file's bytes, as seen and as on the platter; `dirty` are the sectors in which they may differ. */
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
  /** Handles of earlier lives of the machine stop working. */
  #life = 0;

  /**
   * The disk as a process of now sees it: everything that it does fails once the machine has crashed or the process was
   * killed. What outlives a crash in a test has to use this, and not the disk itself.
   */
  mount(): FileSystem {
    const life = this.#life;
    const alive = <Result>(work: () => Promise<Result>): Promise<Result> =>
      life === this.#life ? work() : Promise.reject(systemError("EIO", "a process that is no more"));
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

  /** Pulls the plug and powers up again: open handles die, locks fall, unsynced bytes survive as the dice say. */
  crash(random: Random): void {
    const kept = random.below(this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) applyChange(this.#durable, change);
    for (const inode of new Set(this.#durable.values())) forgetUnsynced(inode, random);
    this.#seen = new Map(this.#durable);
    this.kill();
    this.#changes = [];
  }

  /** Kills the process but not the machine: handles die and locks fall, all written bytes stay in the page cache. */
  kill(): void {
    this.#life++;
    this.#locks.clear();
  }

  /** An independent copy of what a reader sees, all of it durable. */
  clone(): MemoryFileSystem {
    const copy = new MemoryFileSystem();
    for (const [path, inode] of this.#seen) copy.put(path, inode.seen.slice(0, inode.seenSize));
    return copy;
  }

  /** The content of a file as a reader sees it; tests and dumps only. */
  contentOf(path: string): Uint8Array {
    const inode = this.#inodeAt(path);
    return inode.seen.slice(0, inode.seenSize);
  }

  /** Puts a file there, durably, in place of any other. */
  put(path: string, bytes: Uint8Array): void {
    const inode = newInode();
    inode.seen = Uint8Array.from(bytes);
    inode.durable = Uint8Array.from(bytes);
    inode.seenSize = inode.durableSize = bytes.length;
    this.#seen.set(path, inode);
    this.#durable.set(path, inode);
  }

  /** Flips one bit of a file, on the platter and in the cache: bit rot. */
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
    if (this.#locks.has(path)) throw new HaplanError("file-system/locked", `Cannot lock "${path}": it is held already`);
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
    const life = this.#life;
    const enter = async (operation: FileOperation): Promise<void> => {
      if (life !== this.#life) throw systemError("EIO", path);
      await this.faults.before?.(operation, path);
      if (life !== this.#life) throw systemError("EIO", path);
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

/** Each unsynced sector is kept or lost by itself; the size is the old or the new one. */
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
