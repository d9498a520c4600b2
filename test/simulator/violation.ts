/** Thrown when something that must always hold does not: the simulation has found a bug. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** What was broken, in two or three words: the name of the checker. */
  readonly property: string;

  constructor(property: string, detail: string) {
    super(`${property}: ${detail}`);
    this.property = property;
  }
}
