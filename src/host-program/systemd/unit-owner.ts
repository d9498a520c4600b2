/** Whose a unit of systemd is. Two clusters may have units of one name on one host (`unit-name.ts`). */
import { existsSync, readFileSync } from "node:fs";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitPlace } from "../../providers/supervisor.ts";
import { systemdName, unitMarker } from "../../providers/unit-name.ts";
import { isMasked } from "./masked-unit.ts";
import { unitDirOfFile } from "./unit-file.ts";

export type UnitTraces = {
  /** The unit's file, which may not be there. */
  readonly file: string;
  /** The file as haplan wrote it, in the unit's directory. */
  readonly copy: string;
  /** Of the unit of that name that runs; null if none does. Asks systemd, which takes some milliseconds. */
  pid(): Promise<number | null>;
};

/** Who has the unit of this place's name, if that is another one; null if it is free, or this place's own. */
export async function otherOwner(
  { directory }: Pick<UnitPlace, "directory">,
  { file, copy, pid }: UnitTraces,
): Promise<string | null> {
  if (existsSync(file) && !isMasked(file)) {
    const named = unitDirOfFile(readFileSync(file, "utf8"));
    if (named !== null) return named === directory ? null : named;
    // One of ours whose content was replaced is a changed file.
    return existsSync(copy) ? null : "something that haplan did not make";
  }
  // Its file may be gone, or masked, while its process runs.
  const running = await pid();
  const named = running === null ? null : unitDirOfProcess(running);
  return named === null || named === directory ? null : named;
}

/** @throws HaplanError `provider/unit-taken` */
export async function assertOwn(place: UnitPlace, traces: UnitTraces, what: string): Promise<void> {
  const other = await otherOwner(place, traces);
  if (other === null) return;
  throw new HaplanError(
    "provider/unit-taken",
    `Cannot ${what} ${systemdName(place)}.service: "${traces.file}" belongs to ${other}`,
  );
}

function unitDirOfProcess(pid: number): string | null {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    return environment.find((entry) => entry.startsWith(`${unitMarker}=`))?.slice(unitMarker.length + 1) ?? null;
  } catch {
    // It has ended meanwhile.
    return null;
  }
}
