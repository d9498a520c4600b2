/** The agent's log: one JSON object a line, with etcd's field names, so that existing log pipelines read it. */
import { openSync } from "node:fs";
import { dirname } from "node:path";
import { destination, type Logger, multistream, pino } from "pino";
import { makeFolderDurably } from "../../base/durable-file.ts";
import { errorText } from "../../base/haplan-error.ts";
import { SettingsError } from "../config/read-settings.ts";

/** etcd's `panic` is the level above error that ends the process; ours is `fatal`. */
const levelOf: Readonly<Record<string, string>> = { panic: "fatal" };
/** What may wait for a reader that does not read; beyond it lines are dropped. A slow log must never hold up a member. */
const waitingBytesMax = 1024 * 1024;

export type AgentLog = {
  readonly logger: Logger;
  /** Writes out what waits: before the process ends. */
  flush(): void;
};

/** @throws SettingsError naming an output that cannot be written */
export function createAgentLog(options: { readonly level: string; readonly outputs: readonly string[] }): AgentLog {
  const level = levelOf[options.level] ?? options.level;
  const outputs = options.outputs.length === 0 ? ["default"] : options.outputs;
  const sinks = outputs.map((output) =>
    destination({ dest: outputOf(output), sync: false, maxLength: waitingBytesMax }),
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

/** Under systemd the journal has what goes to stderr. */
const descriptors: Readonly<Record<string, number>> = { stdout: 1, stderr: 2, default: 2, "systemd/journal": 2 };

function outputOf(output: string): number {
  const descriptor = descriptors[output];
  if (descriptor !== undefined) return descriptor;
  try {
    makeFolderDurably(dirname(output), 0o755);
    return openSync(output, "a");
  } catch (cause) {
    const expected = "expected stderr, stdout, systemd/journal or a file that this user may write";
    throw new SettingsError(`--log-outputs has "${output}": ${errorText(cause)}; ${expected}`, { cause });
  }
}
