/**
 * Where a state may be kept, as a port. A backend knows texts and their versions, not what is in them: it replaces a
 * text only while it is the one that was read (compare and swap), and it has the lock that belongs to it.
 */
import type { CommandWords } from "../base/command-words.ts";
import type { Lock, LockHolder, LockWish } from "./lock-holder.ts";

/** `version` is opaque: it changes with every write. */
export type StoredText = { readonly text: string; readonly version: string };

export type TextWrite = {
  readonly text: string;
  /** The version that is to be replaced; null when there must be none. */
  readonly expected: string | null;
  /** What it replaces, to be kept as a backup where the backend keeps no history of its own. */
  readonly backup: string | null;
  /** Of the lock under which this is written; null without one. */
  readonly fencing: number | null;
};

/** A sentence, and command lines that help. */
export type StateAdvice = { readonly text: string; readonly commands?: readonly CommandWords[] };

export type StateBackend = {
  /** For messages: a path, a URL. */
  readonly place: string;
  /** What to do when the text there is damaged. */
  readonly advice: StateAdvice;
  /** @throws HaplanError `state/unreadable`, `state/unreachable` */
  read(): Promise<StoredText | null>;
  /** Durable when it returns. @throws HaplanError `state/conflict`, `lock/lost`, `state/unreachable` */
  write(write: TextWrite): Promise<void>;
  /** Forgets the text, and its backup. */
  remove(fencing: number | null): Promise<void>;
  /** @throws HaplanError `lock/held`, which says who holds it */
  acquireLock(wish: LockWish): Promise<Lock>;
  /** Who holds the lock now, or null. */
  lockHolder(): Promise<LockHolder | null>;
  /** Takes the lock away from the holder with this id. @throws HaplanError `lock/not-held` */
  forceUnlock(lockId: string): Promise<LockHolder>;
};
