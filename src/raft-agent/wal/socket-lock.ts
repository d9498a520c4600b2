/**
 * A lock that is released when its holder dies: a listening Unix socket at the lock's path. Unlike a pid file it works
 * across containers that share a directory but not a pid namespace, and needs no guess about which processes are
 * alive: the kernel closes the socket of a dead process, and connections to it are then refused.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { link, rename, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { basename, dirname, join } from "node:path";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import type { DirLock } from "./file-system.ts";

/**
 * Takes the lock at `path`. The socket is created under a unique name and then linked to `path`, which fails when
 * `path` exists: so the name appears only with a process already listening on it. @throws HaplanError
 * `file-system/locked` when a live process holds it.
 */
export async function lockWithSocket(path: string): Promise<DirLock> {
  const own = `${path}.${randomBytes(6).toString("hex")}`;
  const server = await listenOn(own);
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      if (await linkIfFree(own, path)) return lockOf(server, path);
      await removeIfDead(path);
    }
    throw lockedError(path);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await rm(own, { force: true });
  }
}

function lockOf(server: Server, path: string): DirLock {
  return {
    release: async () => {
      await rm(path, { force: true });
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function linkIfFree(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/**
 * Removes a lock whose holder is dead. It is renamed and checked again there, since between the first check and the
 * removal another process may have done the same and already hold a new lock under the old name: that one is restored.
 */
async function removeIfDead(path: string): Promise<void> {
  if (await isLockHeld(path)) throw lockedError(path);
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return;
    throw error;
  }
  const alive = await isLockHeld(aside);
  if (alive) await linkIfFree(aside, path);
  await rm(aside, { force: true });
  if (alive) throw lockedError(path);
}

/** Whether a live process holds the lock at `path`. Changes nothing. */
export function isLockHeld(path: string): Promise<boolean> {
  const short = shortened(path);
  return new Promise((resolve) => {
    const socket = connect(short.path);
    const answer = (alive: boolean): void => {
      socket.destroy();
      short.release();
      resolve(alive);
    };
    socket.on("connect", () => answer(true));
    // A full backlog (EAGAIN) means that the holder is alive; only a refused connection or an absent file means that
    // it is not.
    socket.on("error", (error) => answer(!["ECONNREFUSED", "ENOENT"].includes(systemErrorCode(error) ?? "")));
  });
}

function listenOn(path: string): Promise<Server> {
  const short = shortened(path);
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.on("error", (error) => {
      short.release();
      reject(error);
    });
    server.listen(short.path, () => {
      short.release();
      resolve(server);
    });
  });
}

/**
 * The address of a Unix socket is at most 107 bytes: a longer path is reached through a descriptor of its directory.
 */
function shortened(path: string): { readonly path: string; release(): void } {
  if (Buffer.byteLength(path) <= 100) return { path, release: () => {} };
  const directory = openSync(dirname(path), "r");
  return { path: join("/proc/self/fd", String(directory), basename(path)), release: () => closeSync(directory) };
}

function lockedError(path: string): HaplanError {
  return new HaplanError(
    "file-system/locked",
    `Cannot use "${dirname(path)}": another process holds its lock "${basename(path)}". Stop that process, or use another directory for this one`,
  );
}
