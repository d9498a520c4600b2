/**
 * Splits a text that arrives in pieces into its JSON objects, with or without line ends between them. A word that is
 * not JSON ends at white space, so that a parser can reject it before more arrives.
 */

/** Looks at every character once, however small the pieces are. */
export class JsonSplitter {
  #text = "";
  /** How far the text was scanned, and what is open there. */
  #at = 0;
  #depth = 0;
  #quoted = false;
  #isWord = false;

  add(piece: string): void {
    this.#text += piece;
  }

  /** The text that does not belong to a complete object yet. */
  get rest(): string {
    return this.#text;
  }

  /** The next complete object, or null until more has arrived. Whether it is valid is up to a parser. */
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
