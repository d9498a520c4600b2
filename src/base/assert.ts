/** Thrown if an invariant of the program itself does not hold: always a bug, never a user's mistake. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * Asserts an invariant. Assertions stay on in production: a process whose state is inconsistent must stop before it
 * writes that state to disk. On hot paths pass a message with numbers as a function, so that it is built only on
 * failure.
 */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (condition) return;
  throw new AssertionError(`Invariant broken: ${typeof message === "string" ? message : message()}`);
}

/** Marks a branch that is unreachable by type; reaching it at run time is a bug. */
export function assertNever(value: never): never {
  throw new AssertionError(`Invariant broken: unexpected value ${JSON.stringify(value)}`);
}
