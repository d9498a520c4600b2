/**
 * The storage of a state, as a port. A backend stores opaque, versioned texts: it replaces a text only if it is the one
 * that was read (compare and swap), and it has the lock that protects it.
 */
import type { CommandWords } from "../base/command-words.ts";
import type { Lock, LockHolder, LockOptions } from "./lock-holder.ts";

/** `version` is opaque: it changes with every write. */
export type StoredText = { readonly text: string; readonly version: string };

export type TextWrite = {
  readonly text: string;
  /** The version to replace; null if there must be none. */
  readonly expected: string | null;
  /** The replaced text, to be kept as a backup if the backend has no history of its own. */
  readonly backup: string | null;
  /** Fencing number of the lock that protects the write; null without one. */
  readonly fencing: number | null;
};

/** A sentence, and command lines that help. */
export type StateAdvice = { readonly text: string; readonly commands?: readonly CommandWords[] };

export type StateBackend = {
  /** For messages: a path, a URL. */
  readonly place: string;
  /** What to do if the text there is damaged. */
  readonly advice: StateAdvice;
  /** @throws HaplanError `state/unreadable`, `state/unreachable` */
  read(): Promise<StoredText | null>;
  /** Durable on return. @throws HaplanError `state/conflict`, `lock/lost`, `state/unreachable` */
  write(write: TextWrite): Promise<void>;
  /** Removes the text and its backup. */
  remove(fencing: number | null): Promise<void>;
  /** @throws HaplanError `lock/held`, which names the holder */
  acquireLock(options: LockOptions): Promise<Lock>;
  /** The current holder of the lock, or null. */
  lockHolder(): Promise<LockHolder | null>;
  /** Breaks the lock of the holder with this id. @throws HaplanError `lock/not-held` */
  forceUnlock(lockId: string): Promise<LockHolder>;
};
