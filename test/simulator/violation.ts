/** Thrown when an invariant is violated: the simulation has found a bug. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** The violated property, in two or three words: the name of the checker. */
  readonly property: string;

  constructor(property: string, detail: string) {
    super(`${property}: ${detail}`);
    this.property = property;
  }
}
