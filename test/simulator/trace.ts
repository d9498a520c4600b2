/** The trace of a run: a digest of everything, to compare two runs bit for bit, and the last lines, for reading. */

export type TraceLine = { readonly atMs: number; readonly text: () => string };

const linesMax = 6000;

export class Trace {
  readonly #lines: TraceLine[] = [];
  #written = 0;
  #low = 0x811c9dc5;
  #high = 0x1b873593;

  /** `numbers` are part of the digest; `text` is only evaluated when the trace is read. */
  note(atMs: number, numbers: readonly number[], text: () => string): void {
    this.#mix(Math.round(atMs * 1e6));
    for (const number of numbers) this.#mix(number);
    this.#lines[this.#written++ % linesMax] = { atMs, text };
  }

  /** 16 hex digits: equal for equal runs. */
  digest(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** The last lines, oldest first. */
  tail(): string[] {
    const from = Math.max(0, this.#written - linesMax);
    return Array.from({ length: this.#written - from }, (_, at) => {
      const { atMs, text } = this.#lines[(from + at) % linesMax]!;
      return `${atMs.toFixed(3).padStart(11)} ${text()}`;
    });
  }

  #mix(number: number): void {
    const low = number >>> 0;
    const high = Math.floor(number / 0x1_0000_0000) >>> 0;
    this.#low = Math.imul(this.#low ^ low, 0x01000193) ^ (this.#high >>> 13);
    this.#high = Math.imul(this.#high ^ high ^ (this.#low >>> 7), 0x85ebca6b) ^ (this.#low >>> 16);
  }
}

/** A number for a text, for the digest. */
export function textNumber(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
