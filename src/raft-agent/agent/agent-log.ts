/** The agent's log: one JSON object a line, with etcd's field names, so that existing log pipelines read it. */
import { destination, type Logger, multistream, pino } from "pino";

/** etcd's `panic` is the level above error that ends the process; ours is `fatal`. */
const levelOf: Readonly<Record<string, string>> = { panic: "fatal" };
/** What may wait for a reader that does not read; beyond it lines are dropped. A slow log must never hold up a member. */
const waitingBytesMax = 1024 * 1024;

export type AgentLog = {
  readonly logger: Logger;
  /** Writes out what waits: before the process ends. */
  flush(): void;
};

export function createAgentLog(options: { readonly level: string; readonly outputs: readonly string[] }): AgentLog {
  const level = levelOf[options.level] ?? options.level;
  const sinks = options.outputs.map((output) =>
    destination({ dest: outputOf(output), sync: false, mkdir: true, maxLength: waitingBytesMax }),
  );
  const streams = sinks.map((stream) => ({ level: level as "info", stream }));
  const logger = pino(
    {
      level,
      base: null,
      messageKey: "msg",
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    multistream(streams),
  );
  return { logger, flush: () => sinks.forEach((sink) => void flushQuietly(sink)) };
}

/** A file that could not be opened has nothing to flush. */
function flushQuietly(sink: { flushSync(): void }): void {
  try {
    sink.flushSync();
  } catch {
    // The log's own failure must not hide why the process ends.
  }
}

function outputOf(output: string): string | number {
  if (output === "stdout") return 1;
  return output === "default" || output === "stderr" ? 2 : output;
}
