/** Thrown when an invariant of the program itself does not hold: always a bug, never a user's mistake. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * States an invariant. Kept on in production: a process that has left its own model of the world must stop
 * before it writes that model to disk. On a hot path a message with numbers in it is given as a function: else it would
 * be put together every time.
 */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (condition) return;
  throw new AssertionError(`Invariant broken: ${typeof message === "string" ? message : message()}`);
}

/** Marks a branch that the type system proves unreachable; reaching it at run time is a bug. */
export function assertNever(value: never): never {
  throw new AssertionError(`Invariant broken: unexpected value ${JSON.stringify(value)}`);
}
