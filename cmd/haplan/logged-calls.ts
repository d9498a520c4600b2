/** Wraps a port so that its calls are in the debug log: function, subject, duration, outcome. */
import { errorText, HaplanError } from "../../src/base/haplan-error.ts";
import type { DebugLog, LogFields } from "./debug-log.ts";

/**
 * `port`, with each call of its functions logged as `name.function`. Only the arguments selected by `select` are logged.
 * Without a log it is `port` itself.
 */
export function loggedCalls<Port extends object>(
  log: DebugLog,
  name: string,
  port: Port,
  select: (words: readonly unknown[]) => LogFields = () => ({}),
): Port {
  if (!log.enabled) return port;
  return new Proxy(port, {
    get: (target, property, receiver) => {
      const value: unknown = Reflect.get(target, property, receiver);
      if (typeof value !== "function" || typeof property !== "string") return value;
      return (...words: unknown[]): unknown =>
        logged(log, `${name}.${property}`, select(words), () => Reflect.apply(value, target, words));
    },
  });
}

function logged(log: DebugLog, call: string, fields: LogFields, run: () => unknown): unknown {
  const startedMs = performance.now();
  const ended = (outcome: LogFields, level: "debug" | "warn"): void => {
    log.write(level, call, { ...fields, ...outcome, duration_ms: Math.round(performance.now() - startedMs) });
  };
  const failed = (error: unknown): never => {
    const code = error instanceof HaplanError ? { code: error.code } : {};
    ended({ ...code, error: errorText(error) }, "warn");
    throw error;
  };
  log.write("trace", `${call} called`, fields);
  try {
    const result = run();
    if (!(result instanceof Promise)) return result;
    return result.then((answer: unknown) => {
      ended({}, "debug");
      return answer;
    }, failed);
  } catch (error) {
    return failed(error);
  }
}

/** The string arguments, for ports whose strings are names and paths. */
export function namedIn(words: readonly unknown[]): LogFields {
  const names = words.filter((word): word is string => typeof word === "string");
  return names.length === 0 ? {} : { of: names };
}
