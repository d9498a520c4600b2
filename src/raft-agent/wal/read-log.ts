/** Reads a log without changing anything: of a member that is stopped, or that others want to look at. */
import { HaplanError } from "../../base/haplan-error.ts";
import { copyBytes } from "./byte-codec.ts";
import type { FileSystem } from "./file-system.ts";
import { type RecoveredLog, Replay } from "./replay.ts";
import { scanLog } from "./scan.ts";

export type ReadLog = RecoveredLog & {
  /** As the log was created with; null if nothing of it could be read. */
  readonly metadata: Uint8Array | null;
  /** Batches that a crash has cut, and that were never acknowledged. */
  readonly torn: readonly { readonly file: string; readonly offset: number; readonly bytes: number }[];
  /**
   * Why the log does not hold what was acknowledged; null if it does. The rest is what precedes the damage then.
   */
  readonly damage: string | null;
};

/** @throws HaplanError `wal/newer-version`, or the system's error */
export async function readLog(fileSystem: FileSystem, directory: string): Promise<ReadLog> {
  const replay = new Replay();
  let metadata: Uint8Array | null = null;
  try {
    const scan = await scanLog(fileSystem, directory, (batch) => {
      metadata ??= copyBytes(batch.segment.header.metadata);
      replay.apply(copyBytes(batch.payload));
    });
    const torn = scan.torn.map(({ segment, start, end }) => ({
      file: segment.name,
      offset: start,
      bytes: end - start,
    }));
    metadata ??= scan.segments[0]?.header.metadata ?? null;
    return { ...finished(replay), metadata, torn };
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code !== "wal/damaged") throw error;
    const { damage: _, ...before } = finished(replay);
    return { ...before, metadata, torn: [], damage: error.message };
  }
}

function finished(replay: Replay): RecoveredLog & Pick<ReadLog, "damage"> {
  const log = replay.finish();
  if (!("problem" in log)) return { ...log, damage: null };
  return { hardState: null, snapshot: null, entries: [], damage: `Its content contradicts itself: ${log.problem}` };
}
