/** What a provider needs to replace the data of a machine's member. */
import type { RestoreCommand } from "../units/restore-command.ts";

export type RestoreDataRequest = {
  /** Identifies the restore: data that it replaced is told apart from data that it made. */
  readonly id: string;
  /** The path of the snapshot where the call is carried out. */
  readonly snapshot: string;
  readonly command: RestoreCommand;
  /** haplan's programs; absent: those that the provider starts units with. */
  readonly programsDir?: string;
};
