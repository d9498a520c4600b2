/** The programs of a rehearsal, beside haplan's own in the build. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { HaplanError } from "../base/haplan-error.ts";
import { builtProgramsDir } from "../providers/local/programs.ts";

export type RehearsalPrograms = {
  /** haplan with the processes of a copy. */
  readonly haplan: string;
  /** Ends what a rehearsal has started, once that has ended. */
  readonly warden: string;
  /** URL of the file that members of a copy load first. */
  readonly hook: string;
  /** Contains haplan's own programs. */
  readonly directory: string;
};

/** `haplan` replaces the one that applies in the copies. @throws HaplanError `rehearse/no-program` */
export function rehearsalPrograms(haplan: string | null): RehearsalPrograms {
  const directory = builtProgramsDir();
  const own = join(directory, "haplan-rehearsal");
  const warden = join(own, "main.js");
  if (!existsSync(warden))
    throw new HaplanError(
      "rehearse/no-program",
      `${warden} is missing\nInstall haplan again, or build it: npm run build`,
    );
  const hook = pathToFileURL(join(own, "peer-hook.js")).href;
  return { haplan: haplan ?? warden, warden, hook, directory };
}
