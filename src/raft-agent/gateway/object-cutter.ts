/**
 * Cuts a text that arrives in pieces into the JSON objects in it, with or without line ends between them. A word that is
 * none ends where white space begins, so that a parser can say so before more comes.
 */

/** Looks at every character once, however small the pieces are. */
export class ObjectCutter {
  #text = "";
  /** How far it has been looked at, and what is open there. */
  #at = 0;
  #depth = 0;
  #quoted = false;
  #isWord = false;

  add(piece: string): void {
    this.#text += piece;
  }

  /** What belongs to no whole object yet. */
  get rest(): string {
    return this.#text;
  }

  /** The next whole object, or null until more has come. Whether it is valid is for a parser to say. */
  next(): string | null {
    const text = this.#text;
    for (; this.#at < text.length; this.#at++) {
      const char = text[this.#at];
      if (this.#quoted) {
        if (char === "\\") this.#at++;
        else if (char === '"') this.#quoted = false;
      } else if (char === " " || char === "\n" || char === "\r" || char === "\t") {
        if (this.#isWord && this.#depth === 0) return this.#cut(this.#at);
      } else if (char === '"') this.#quoted = this.#isWord = true;
      else if (char === "{" || char === "[") this.#depth++;
      else if ((char === "}" || char === "]") && --this.#depth <= 0) return this.#cut(this.#at + 1);
      else this.#isWord = true;
    }
    return null;
  }

  #cut(end: number): string {
    const object = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    this.#at = 0;
    this.#depth = 0;
    this.#isWord = false;
    return object;
  }
}
