/** Puts the calls of a port into the debug log: what was called, on what, how long it took and how it ended. */
import { errorText, HaplanError } from "../../src/base/haplan-error.ts";
import type { DebugLog, LogFacts } from "./debug-log.ts";

/**
 * `port`, with each call of its functions logged as `name.function`. Of the arguments, only those that `tell` names are
 * logged. Without a log it is `port` itself.
 */
export function loggedCalls<Port extends object>(
  log: DebugLog,
  name: string,
  port: Port,
  tell: (words: readonly unknown[]) => LogFacts = () => ({}),
): Port {
  if (!log.enabled) return port;
  return new Proxy(port, {
    get: (target, property, receiver) => {
      const value: unknown = Reflect.get(target, property, receiver);
      if (typeof value !== "function" || typeof property !== "string") return value;
      return (...words: unknown[]): unknown =>
        logged(log, `${name}.${property}`, tell(words), () => Reflect.apply(value, target, words));
    },
  });
}

function logged(log: DebugLog, call: string, facts: LogFacts, run: () => unknown): unknown {
  const startedMs = performance.now();
  const ended = (outcome: LogFacts, level: "debug" | "warn"): void => {
    log.write(level, call, { ...facts, ...outcome, duration_ms: Math.round(performance.now() - startedMs) });
  };
  const failed = (error: unknown): never => {
    const code = error instanceof HaplanError ? { code: error.code } : {};
    ended({ ...code, error: errorText(error) }, "warn");
    throw error;
  };
  log.write("trace", `${call} called`, facts);
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

/** The arguments that are texts, for ports whose texts are names and paths. */
export function namedIn(words: readonly unknown[]): LogFacts {
  const names = words.filter((word): word is string => typeof word === "string");
  return names.length === 0 ? {} : { of: names };
}
