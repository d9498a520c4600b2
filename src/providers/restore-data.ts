/** What a provider needs to read the data of a machine's member, and to replace it. */
import type { DataCommand } from "../units/data-command.ts";
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

export type ReadDataRequest = {
  readonly command: DataCommand;
  /** haplan's programs; absent: those that the provider starts units with. */
  readonly programsDir?: string;
};

export type ExportDataRequest = ReadDataRequest & {
  /** Identifies the export: an interrupted one is begun again. */
  readonly id: string;
  /** The path of the file to write, where the call is carried out. */
  readonly file: string;
};
