/**
 * The FileSystem port on a real disk. Everything runs in the thread pool, so that a stalled disk never blocks the
 * event loop, and thereby heartbeats. Durable writes use a second descriptor opened with O_DSYNC: write and fdatasync
 * in one round trip to the pool instead of two.
 */
import { close, constants, fdatasync, fstat, ftruncate, open as openFile, read, write } from "node:fs";
import { open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeDirDurably } from "../../base/durable-file.ts";
import { systemErrorCode } from "../../base/haplan-error.ts";
import type { FileHandle, FileSystem } from "./file-system.ts";
import { lockWithSocket } from "./socket-lock.ts";

const closeDescriptor = promisify(close);
const truncateDescriptor = promisify(ftruncate);
const syncDescriptor = promisify(fdatasync);
const statDescriptor = promisify(fstat);
const openDescriptor = promisify(openFile);

/**
 * A FileSystem whose paths are relative to the directory `root`. Files are private to the user (0600, directories
 * 0700).
 */
export function createNodeFileSystem(root: string): FileSystem {
  const inRoot = (path: string): string => join(root, path);
  return {
    list: async (directory) => {
      try {
        return (await readdir(inRoot(directory))).sort();
      } catch (error) {
        if (systemErrorCode(error) === "ENOENT") return [];
        throw error;
      }
    },
    makeDir: async (directory) => makeDirDurably(inRoot(directory)),
    open: (path, options) => openHandle(inRoot(path), options.create, options.readOnly ?? false),
    rename: (from, to) => rename(inRoot(from), inRoot(to)),
    remove: (path) => rm(inRoot(path)),
    syncDir: async (directory) => {
      const handle = await open(inRoot(directory), "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
    lock: (path) => lockWithSocket(inRoot(path)),
  };
}

async function openHandle(path: string, create: boolean, readOnly: boolean): Promise<FileHandle> {
  const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
  const descriptor = await openDescriptor(path, access | (create ? constants.O_CREAT | constants.O_EXCL : 0), 0o600);
  // Opened now rather than on first use: by then the file may have been renamed.
  const durable = readOnly ? descriptor : await openDescriptor(path, constants.O_WRONLY | constants.O_DSYNC);
  return {
    size: async () => (await statDescriptor(descriptor)).size,
    read: (offset, length) => readFully(descriptor, offset, length),
    write: (offset, bytes) => writeFully(descriptor, offset, bytes),
    writeDurably: (offset, bytes) => writeFully(durable, offset, bytes),
    truncate: (size) => truncateDescriptor(descriptor, size),
    sync: () => syncDescriptor(descriptor),
    close: async () => {
      await closeDescriptor(descriptor);
      if (durable !== descriptor) await closeDescriptor(durable);
    },
  };
}

async function readFully(descriptor: number, offset: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = await readOnce(descriptor, bytes, done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

function readOnce(descriptor: number, bytes: Uint8Array, from: number, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, bytes, from, bytes.length - from, offset, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

/** One promise however many system calls the write takes: this is the log's hot path. */
function writeFully(descriptor: number, offset: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    let done = 0;
    const writeRest = (): void => {
      write(descriptor, bytes, done, bytes.length - done, offset + done, (error, count) => {
        if (error) return reject(error);
        done += count;
        if (done < bytes.length) writeRest();
        else resolve();
      });
    };
    writeRest();
  });
}
