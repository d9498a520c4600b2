/**
 * The log of a server program: one JSON object per line, with etcd's field names, so that existing log pipelines can read it; to
 * outputs that may fail without affecting the program.
 */
import { type Logger, type LoggerOptions, pino } from "pino";
import { errorText } from "./haplan-error.ts";
import { LogSink } from "./log-sink.ts";

/** How long the end of the process waits for its log. */
const endWithinMs = 1_000;

export type ProgramLog = {
  readonly logger: Logger;
  /** The number of lines that could not be written, for all outputs together. */
  droppedLines(): number;
  /** Resolves once all lines so far are written or dropped, or after a second. */
  written(): Promise<void>;
  /** Ends the process once the log is written, or after a second. */
  end(code: number): Promise<never>;
  /** Logs a line and ends the process within a second, without another turn of the event loop. */
  endNow(code: number, say: (logger: Logger) => void): never;
};

const fields: LoggerOptions = {
  base: null,
  messageKey: "msg",
  timestamp: () => `,"ts":"${new Date().toISOString()}"`,
  formatters: { level: (label) => ({ level: label }) },
};

export function createProgramLog(
  descriptors: readonly number[],
  options: { readonly level?: string } = {},
): ProgramLog {
  const onRecovered = (lines: number, reason: string): void =>
    logger.warn({ dropped: lines, error: reason }, "log lines were dropped");
  const sinks = descriptors.map((descriptor) => new LogSink(descriptor, { onRecovered }));
  const logger = pino({ ...fields, ...options }, { write: (line) => sinks.forEach((sink) => void sink.write(line)) });
  const exit = (code: number): never => {
    // Exiting would wait for the thread, which may hang on a lost disk.
    if (sinks.some((sink) => sink.isInThread)) process.kill(process.pid, "SIGKILL");
    process.exit(code);
  };
  const written = async (): Promise<void> => {
    await Promise.all(sinks.map((sink) => sink.drain(endWithinMs)));
  };
  return {
    logger,
    written,
    droppedLines: () => sinks.reduce((sum, sink) => sum + sink.droppedTotal, 0),
    end: async (code) => {
      await written();
      return exit(code);
    },
    endNow: (code, say) => {
      for (const sink of sinks) sink.writeDirectly();
      say(logger);
      for (const sink of sinks) sink.drainSync(endWithinMs);
      process.exit(code);
    },
  };
}

/**
 * An unexpected error ends the process, with its stack in the log; warnings of Node.js are logged as well. By default
 * Node.js writes both to standard error, and hangs as long as its reader does not read.
 */
export function logUncaughtErrors({ logger, endNow }: ProgramLog): void {
  process.on("uncaughtException", (error) => {
    const facts = { error: errorText(error), stacktrace: error?.stack };
    endNow(1, (log) => log.fatal(facts, "an unexpected error ends this process"));
  });
  process.removeAllListeners("warning");
  process.on("warning", (warning) => logger.warn({ error: warning.message }, warning.name));
}
