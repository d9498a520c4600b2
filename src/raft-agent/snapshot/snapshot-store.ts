/**
 * The directory of snapshot files. A snapshot gets its name only when it is complete and durable, and is returned only
 * after every byte of it has been verified.
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { LogIndex, Term } from "../raft/entry.ts";
import type { FileHandle, FileSystem } from "../wal/file-system.ts";
import { readChunks, readHeader, verifySnapshot, writeSnapshot } from "./snapshot-file.ts";

export type SnapshotName = { readonly name: string; readonly index: LogIndex; readonly term: Term };

/** A verified snapshot. Close it when done; the file may be pruned while it is open. */
export type OpenSnapshot = {
  readonly name: string;
  readonly metadata: SnapshotMetadata;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
  readonly contentBytes: number;
  /** The content from its beginning, verified once more; may be called more than once, also concurrently. */
  chunks(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
};

export type NewestSnapshot = {
  /** Null when there is no undamaged one. */
  readonly snapshot: OpenSnapshot | null;
  /** Newer ones that had to be skipped. */
  readonly damaged: readonly { readonly name: string; readonly reason: string }[];
};

export type SnapshotStoreOptions = {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly clock?: Clock;
};

/** Creates the directory if necessary and removes partially written files left by a crash. */
export async function openSnapshotStore(options: SnapshotStoreOptions): Promise<SnapshotStore> {
  const { fileSystem, directory } = options;
  await fileSystem.makeDir(directory);
  for (const name of await fileSystem.list(directory)) {
    if (name.endsWith(".making")) await fileSystem.remove(`${directory}/${name}`);
  }
  return new SnapshotStore(options);
}

export class SnapshotStore {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #clock: Clock;
  #lastNumber = 0;

  /** Use `openSnapshotStore`. */
  constructor({ fileSystem, directory, clock = systemClock }: SnapshotStoreOptions) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#clock = clock;
  }

  /**
   * Writes a snapshot, from the state machine or from a peer; resolves when it is durable under its name. One for the
   * same index and term is replaced. When `chunks` or the disk fails, nothing is left and the error is rethrown.
   */
  async write(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<SnapshotName> {
    const { index, term } = metadata;
    const name = fileName(index, term);
    const temporary = `${this.#directory}/${name.replace(/snapshot$/, `${++this.#lastNumber}.making`)}`;
    const file = await this.#fileSystem.open(temporary, { create: true });
    try {
      await closing(file, () => writeSnapshot(file, { metadata, createdMs: this.#clock.now() }, chunks));
      await this.#fileSystem.rename(temporary, `${this.#directory}/${name}`);
    } catch (error) {
      await this.#fileSystem.remove(temporary).catch(() => {}); // Report the first error; the next start cleans up.
      throw error;
    }
    await this.#fileSystem.syncDir(this.#directory);
    return { name, index, term };
  }

  /** All snapshots, the newest first, by their names alone. */
  async list(): Promise<SnapshotName[]> {
    const names = (await this.#fileSystem.list(this.#directory)).map(parseName).filter((name) => name !== null);
    return names.sort((left, right) => right.index - left.index || right.term - left.term);
  }

  /**
   * @throws HaplanError `snapshot/damaged` naming the file and the position, or `snapshot/newer-version`, before anything was
   * returned.
   */
  async open(name: string): Promise<OpenSnapshot> {
    const file = await this.#fileSystem.open(`${this.#directory}/${name}`, { create: false, readOnly: true });
    try {
      const { header } = await readHeader(file);
      const contentBytes = await verifySnapshot(file);
      if (fileName(header.metadata.index, header.metadata.term) !== name) {
        throw new HaplanError(
          "snapshot/damaged",
          `the content of snapshot ${header.metadata.index} of term ${header.metadata.term}`,
        );
      }
      return { name, ...header, contentBytes, chunks: () => readChunks(file), close: () => file.close() };
    } catch (error) {
      await file.close();
      if (!(error instanceof HaplanError)) throw error;
      if (error.code === "snapshot/newer-version") {
        throw new HaplanError(
          error.code,
          `Cannot read snapshot "${name}": it has ${error.message}. It was not changed. Start the haplan-agent that wrote it, or a later one`,
        );
      }
      throw new HaplanError(
        "snapshot/damaged",
        `Cannot use snapshot "${name}": it has ${errorText(error)}. Remove the file, and the member receives a new snapshot from its leader, or restore the file from a copy`,
        { cause: error },
      );
    }
  }

  /**
   * The newest undamaged snapshot, and which newer ones were damaged. Disk errors are thrown, not treated as damage, and so is
   * a snapshot in a newer format.
   */
  async openNewest(): Promise<NewestSnapshot> {
    const damaged: { name: string; reason: string }[] = [];
    for (const { name } of await this.list()) {
      try {
        return { snapshot: await this.open(name), damaged };
      } catch (error) {
        if (!(error instanceof HaplanError) || error.code !== "snapshot/damaged") throw error;
        damaged.push({ name, reason: error.message });
      }
    }
    return { snapshot: null, damaged };
  }

  /** Removes those that reach no further than `index`: their content is now in the state machine. */
  async removeUpTo(index: LogIndex): Promise<void> {
    const done = (await this.list()).filter((snapshot) => snapshot.index <= index);
    for (const { name } of done.toReversed()) await this.#fileSystem.remove(`${this.#directory}/${name}`);
    if (done.length > 0) await this.#fileSystem.syncDir(this.#directory);
  }

  /** Removes all but the newest `keep` (at least one). Returns the removed names. */
  async prune(keep: number): Promise<string[]> {
    const old = (await this.list()).slice(Math.max(1, keep)).map(({ name }) => name);
    for (const name of old.toReversed()) await this.#fileSystem.remove(`${this.#directory}/${name}`);
    if (old.length > 0) await this.#fileSystem.syncDir(this.#directory);
    return old;
  }
}

async function closing<Result>(file: FileHandle, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } finally {
    await file.close();
  }
}

function fileName(index: LogIndex, term: Term): string {
  return `${String(index).padStart(16, "0")}-${String(term).padStart(12, "0")}.snapshot`;
}

function parseName(name: string): SnapshotName | null {
  const match = /^(\d{16})-(\d{12,16})\.snapshot$/.exec(name);
  return match === null ? null : { name, index: Number(match[1]), term: Number(match[2]) };
}
