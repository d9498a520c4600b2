/** A text file with its line table: converts offsets to lines and columns. Offsets count UTF-16 code units. */
import type { SourcePosition, SourceRange } from "../base/diagnostic.ts";

export type SourceText = {
  readonly filename: string;
  readonly text: string;
  /** Offset of the first character of each line. */
  readonly lineStarts: readonly number[];
};

export function createSourceText(filename: string, text: string): SourceText {
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lineStarts.push(at + 1);
  return { filename, text, lineStarts };
}

export function rangeBetween(source: SourceText, start: number, end: number): SourceRange {
  return {
    filename: source.filename,
    start: positionAt(source, start),
    end: positionAt(source, Math.max(end, start)),
  };
}

/** The number of the line that contains `offset`; counts from 1. */
export function lineNumberAt(source: SourceText, offset: number): number {
  return lineIndexAt(source, offset) + 1;
}

/** The line that contains `offset`, without its line end, truncated at 500 characters. */
export function lineAt(source: SourceText, offset: number): string {
  const start = source.lineStarts[lineIndexAt(source, offset)] ?? 0;
  const end = source.text.indexOf("\n", start);
  return source.text
    .slice(start, end === -1 ? undefined : end)
    .replace(/\r$/, "")
    .slice(0, 500);
}

function positionAt(source: SourceText, offset: number): SourcePosition {
  const index = lineIndexAt(source, offset);
  return {
    line: index + 1,
    column: offset - (source.lineStarts[index] ?? 0) + 1,
    byte: Buffer.byteLength(source.text.slice(0, offset)),
  };
}

function lineIndexAt(source: SourceText, offset: number): number {
  let low = 0;
  let high = source.lineStarts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((source.lineStarts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
