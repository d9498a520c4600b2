/** Where the machines of a cluster are, and what runs their units. */
import type { Supervisor } from "../supervisor.ts";
import type { UnitPaths } from "./machine-dir.ts";
import { UnitCopies } from "./unit-copies.ts";
import { UnitTasks } from "./unit-tasks.ts";

export type LocalPlace = {
  readonly root: string;
  readonly programsDir: string;
  readonly supervisor: Supervisor;
  readonly systemRoot: string | null;
};

/** How long a restarted or removed unit may take to exit. */
export const restartGraceMs = 10_000;

export function tasksOf({ supervisor, systemRoot }: LocalPlace, paths: UnitPaths): UnitTasks {
  const copies = new UnitCopies(paths, systemRoot);
  return new UnitTasks(paths, supervisor, (path) => copies.pathOf(path));
}
