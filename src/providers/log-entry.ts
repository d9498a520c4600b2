/** The logs of units, as a provider returns them: entries in the order of their time. */

export type LogEntry = {
  readonly machine: string;
  readonly unit: string;
  /** When it was logged, in milliseconds since 1970. */
  readonly timeMs: number;
  /** One line, without its end. */
  readonly message: string;
};

/** `"current"` comes once, after all entries that were logged before the call. */
export type LogEvent = LogEntry | "current";

export type LogRequest = {
  /** Null: all units of the machine. */
  readonly unit: string | null;
  /** The last entries of each unit that were logged before the call; null: all. */
  readonly lines: number | null;
  /** Only entries from this time on. */
  readonly sinceMs: number | null;
  /** Continues with entries as they are logged, until the signal is aborted. */
  readonly follow: boolean;
};
