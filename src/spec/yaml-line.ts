/** One line of a YAML text as it appears: enough to find out why a parser failed; not a parser itself. */

export type YamlLine = {
  /** Counts from 1. */
  readonly number: number;
  /** Offset of its first character. */
  readonly start: number;
  /** Spaces before the text. */
  readonly indent: number;
  /** Spaces and dashes before the text of the first item: where the lines of that item start. */
  readonly innerIndent: number;
  readonly isItem: boolean;
  /** Without its colon; null if the line has no `key:`. */
  readonly key: string | null;
  /** The text after the key or the dash, without comment; empty if the value is in the lines below. */
  readonly value: string;
  /** Offset of `value`. */
  readonly valueStart: number;
};

const linePattern = /^( *)((?:- +|-$)*)(.*)$/;
const keyPattern = /^("(?:[^"\\]|\\.)*"\s?|'(?:[^']|'')*'\s?|[^\s"'[{#][^#]*?):(?=\s|$)/;

/** The lines with content, without comments and without the content of block scalars (`|`, `>`). */
export function significantLines(text: string): readonly YamlLine[] {
  const lines: YamlLine[] = [];
  let start = 0;
  let scalarIndent: number | null = null;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = readLine(raw.replace(/\r$/, ""), index + 1, start);
    start += raw.length + 1;
    if (line === null) continue;
    if (scalarIndent !== null && line.indent > scalarIndent) continue;
    scalarIndent = /^[|>][-+0-9]*$/.test(line.value) ? line.indent : null;
    lines.push(line);
  }
  return lines;
}

function readLine(raw: string, number: number, start: number): YamlLine | null {
  const [, spaces = "", dashes = "", rest = ""] = linePattern.exec(raw) ?? [];
  const content = withoutComment(rest);
  if (content === "" && dashes === "") return null;
  const innerIndent = spaces.length + dashes.length;
  const [matched = "", written] = keyPattern.exec(content) ?? [];
  const key = written?.trim() ?? null;
  const value = content.slice(matched.length).trimStart();
  const valueStart = start + innerIndent + (content.length - value.length);
  return { number, start, indent: spaces.length, innerIndent, isItem: dashes !== "", key, value, valueStart };
}

/** A comment begins at the start or after a space, and not inside quotes. */
function withoutComment(text: string): string {
  let quote: string | null = null;
  let before = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? "";
    if (quote !== null) {
      if (quote === '"' && character === "\\") at += 1;
      else if (character === quote) quote = null;
      continue;
    }
    if (character === "#" && (at === 0 || /\s/.test(text[at - 1] ?? ""))) return text.slice(0, at).trimEnd();
    // Elsewhere a quote is an ordinary character: `it's`.
    if (/["']/.test(character) && /^[-:,[{]?$/.test(before)) quote = character;
    if (character.trim() !== "") before = character;
  }
  return text.trimEnd();
}
