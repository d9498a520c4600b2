/** Colors as functions from text to text; without color they return the text unchanged. */
export type Paint = {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
};

export function createPaint(color: boolean): Paint {
  const wrap =
    (on: number, off: number) =>
    (text: string): string =>
      color && text !== "" ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    bold: wrap(1, 22),
    dim: wrap(2, 22),
    red: wrap(31, 39),
    green: wrap(32, 39),
    yellow: wrap(33, 39),
    cyan: wrap(36, 39),
  };
}

/** The number of columns of a text; colors take none. */
export function visibleLength(text: string): number {
  return withoutColors(text).length;
}

/** A line of at most `width` columns; a truncated line loses its colors. */
export function fitLine(line: string, width: number): string {
  return visibleLength(line) <= width ? line : `${withoutColors(line).slice(0, Math.max(0, width - 1))}…`;
}

function withoutColors(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colors are made of control characters
  return text.replace(/\u001b\[\d+m/g, "");
}
