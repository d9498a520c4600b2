/**
 * Finds the first mistake in a text that is not YAML, and what to write instead. One mistake makes a parser report much
 * that follows, and often it stops below the wrong line.
 */
import type { YAMLError } from "yaml";
import type { SpecFinding } from "./finding.ts";
import { findMisfit, type Misfit } from "./indentation.ts";
import { createSourceText, lineNumberAt, type SourceText } from "./source-text.ts";
import { significantLines, type YamlLine } from "./yaml-line.ts";

type Text = { readonly source: SourceText; readonly text: string; readonly lines: readonly YamlLine[] };
type Cause = Omit<SpecFinding, "place"> & { readonly start: number; readonly end: number };

/** @param errors the parser's errors for `text`; at least one */
export function syntaxFinding(text: string, errors: readonly YAMLError[]): SpecFinding {
  const [first, ...others] = errors.toSorted((left, right) => left.pos[0] - right.pos[0]);
  if (first === undefined) throw new Error("a text without errors has no cause");
  const { start, end, ...finding } = firstCause(
    { source: createSourceText("", text), text, lines: significantLines(text) },
    first,
    [first, ...others],
  );
  return { place: { start, end }, ...finding };
}

function firstCause(text: Text, first: YAMLError, errors: readonly YAMLError[]): Cause {
  const tab = errors.find(({ code }) => code === "TAB_AS_INDENT");
  if (tab !== undefined) return tabCause(tab);
  const lastLine = lastLineOf(text, errors);
  return (
    conflictCause(text) ??
    unclosedQuote(text, errors) ??
    unclosedBracket(text, first) ??
    missingSpace(text, lastLine) ??
    colonlessLine(text, first, lastLine) ??
    misfitCause(findMisfit(text.lines, lastLine)) ??
    causeByCode(text, first)
  );
}

function tabCause({ pos }: YAMLError): Cause {
  const detail = "YAML allows spaces only for indentation. Replace the tab by two spaces, and other tabs like it.";
  return { start: pos[0], end: pos[1], code: "spec/tab", summary: "A tab is used for indentation", detail };
}

/** Errors that start on the first one's line show how far it reaches. */
function lastLineOf({ source }: Text, errors: readonly YAMLError[]): number {
  const firstLine = lineNumberAt(source, errors[0]?.pos[0] ?? 0);
  const together = errors.filter(({ pos }) => lineNumberAt(source, pos[0]) === firstLine);
  return together.reduce((last, { pos }) => Math.max(last, lineNumberAt(source, pos[1])), firstLine);
}

function conflictCause({ text }: Text): Cause | null {
  const marker = /^<{7} .*$/m.exec(text);
  if (marker === null) return null;
  const detail =
    "Choose one of the two sides, and remove the lines that begin with `<<<<<<<`, `=======` and `>>>>>>>`.";
  const summary = "The file contains an unresolved merge conflict";
  return { start: marker.index, end: marker.index + marker[0].length, code: "spec/merge-conflict", summary, detail };
}

function unclosedQuote({ lines }: Text, errors: readonly YAMLError[]): Cause | null {
  const told = errors.find(({ message }) => message.startsWith("Missing closing"));
  if (told === undefined) return null;
  const opened = lines.find(
    ({ value, valueStart }) => valueStart <= told.pos[0] && /^["']/.test(value) && !isClosed(value),
  );
  if (opened === undefined) return null;
  const [quote] = opened.value;
  return {
    start: opened.valueStart,
    end: opened.valueStart + opened.value.length,
    code: "spec/yaml",
    summary: "A quote is opened here and not closed",
    detail: `Write ${quote} at the end of the value as well, or omit both.`,
  };
}

function isClosed(value: string): boolean {
  return /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')/.test(value);
}

function unclosedBracket({ text, lines }: Text, first: YAMLError): Cause | null {
  const wanted = / end with a (.)$/.exec(first.message)?.[1];
  if (wanted === undefined) return null;
  const open = wanted === "]" ? "[" : "{";
  const found = text[first.pos[0]] ?? "";
  const line = lines.findLast(({ value, start }) => start <= first.pos[0] && value.includes(open));
  const start = line === undefined ? first.pos[0] : line.valueStart + line.value.indexOf(open);
  const code = "spec/yaml";
  if (/[\]}]/.test(found)) {
    const summary = `A ${open} is closed with ${found}`;
    return { start: first.pos[0], end: first.pos[1], code, summary, detail: `Write ${wanted} instead of ${found}.` };
  }
  const detail = `Write ${wanted} after the last of its values.`;
  return { start, end: start + 1, code, summary: `A ${open} is opened here and not closed with ${wanted}`, detail };
}

/** `-name: m1`, which YAML reads as a key. */
function missingSpace({ lines }: Text, lastLine: number): Cause | null {
  if (!lines.some(({ isItem }) => isItem)) return null;
  const line = lines.find(({ number, key }) => number <= lastLine && key !== null && /^-\w/.test(key));
  if (line === undefined) return null;
  const rest = line.value === "" ? "" : ` ${line.value}`;
  return {
    start: line.start + line.indent,
    end: line.valueStart,
    code: "spec/yaml",
    summary: "There is no space after the dash",
    detail: `Write \`- ${line.key?.slice(1)}:${rest}\`.`,
  };
}

function colonlessLine({ text, lines }: Text, first: YAMLError, lastLine: number): Cause | null {
  const isTold = first.code === "MULTILINE_IMPLICIT_KEY" || first.message.startsWith("Implicit map keys");
  const line = lines.findLast(({ start }) => start <= first.pos[0]);
  if (isTold && line !== undefined && line.key === null) {
    const written = text.slice(first.pos[0], first.pos[1]).split("\n")[0]?.trim() ?? "";
    return missingColon(first.pos[0], written);
  }
  const above = lines.find((each, index) => each.number <= lastLine && lacksColon(each, lines[index + 1]));
  return above === undefined ? null : missingColon(above.valueStart, above.value);
}

/** A text at the column at which a key follows. */
function lacksColon({ key, value, innerIndent }: YamlLine, next: YamlLine | undefined): boolean {
  return (
    key === null && /^[A-Za-z]/.test(value) && next !== undefined && next.key !== null && next.indent === innerIndent
  );
}

function missingColon(start: number, written: string): Cause {
  const joined = /^([\w-]+):(\S.*)$/.exec(written);
  const [name = "", ...values] = joined === null ? written.split(/\s*=\s*|\s+/) : [joined[1], joined[2]];
  return {
    start,
    end: start + written.length,
    code: "spec/yaml",
    summary: joined === null ? `There is no colon after "${name}"` : `There is no space after the colon of "${name}"`,
    detail: `Write \`${[`${name}:`, ...values].join(" ")}\`.`,
  };
}

function misfitCause(misfit: Misfit | null): Cause | null {
  if (misfit === null) return null;
  const { line, expected, like } = misfit;
  const start = line.start + line.indent;
  const place = { start, end: Math.max(start + 1, line.valueStart), code: "spec/indentation" };
  if (expected === line.indent) {
    const [found, around] = line.isItem ? ["A list item", "the keys"] : ["A key", "the list items"];
    const detail =
      "At one indentation there are either keys (`name: value`) or list items (`- value`). Indent the line like the lines that it belongs to.";
    return { ...place, summary: `${found} is among ${around} that begin at line ${like.number}`, detail };
  }
  return {
    ...place,
    summary: `This line is indented by ${spaces(line.indent)}, which does not match the lines around it`,
    detail:
      expected === 0
        ? `Do not indent it: line ${like.number} is not indented.`
        : `Indent it by ${spaces(expected)}, like line ${like.number}.`,
  };
}

function spaces(count: number): string {
  return count === 1 ? "1 space" : `${count} spaces`;
}

/** Where the parser stops at the mistake itself. */
function causeByCode({ text, lines }: Text, error: YAMLError): Cause {
  const start = error.pos[0] + (/^\s*/.exec(text.slice(error.pos[0], error.pos[1]))?.[0].length ?? 0);
  const place = { start, end: Math.max(start, error.pos[1]), code: "spec/yaml" };
  if (error.code === "MULTIPLE_DOCS") {
    const detail =
      "One file describes one cluster. Remove the `---` line and what follows, or put it into a file of its own.";
    return { ...place, code: "spec/several-documents", summary: "The file contains more than one document", detail };
  }
  const value = lines.findLast((each) => each.start <= start)?.value ?? "";
  const [message = ""] = error.message.split("\n");
  const told = toldMistakes.find(({ pattern }) => pattern.test(message));
  if (told === undefined) return { ...place, summary: "This is not YAML", detail: `The YAML parser says: ${message}.` };
  return { ...place, ...told.tell({ found: text.slice(start, place.end), value }) };
}

type Message = { readonly summary: string; readonly detail: string };
type ToldMistake = {
  /** Parts of the parser's messages. */
  readonly pattern: RegExp;
  /** `found`: the text that the parser points at; `value`: the value on that line. */
  readonly tell: (at: { readonly found: string; readonly value: string }) => Message;
};

const toldMistakes: readonly ToldMistake[] = [
  {
    pattern: /^Plain value cannot start|^Alias cannot be/,
    tell: ({ found, value }) => ({
      summary: `A value cannot begin with ${found.slice(0, 1)}`,
      detail: `Put the value in quotes: \`${inQuotes(value)}\`.`,
    }),
  },
  {
    pattern: /^Nested mappings/,
    tell: ({ value }) => ({
      summary: "There are two colons on this line",
      detail: `If the second one belongs to the value, put the value in quotes: \`${inQuotes(value)}\`.`,
    }),
  },
  {
    pattern: /^Unexpected scalar at node end/,
    tell: ({ found }) => ({
      summary: "Text follows after the end of the value",
      detail: `Remove \`${found}\`, or put the whole value into one pair of quotes.`,
    }),
  },
  {
    pattern: /^Unexpected flow-(map|seq)-end/,
    tell: ({ found }) => ({
      summary: `Nothing is open that this ${found} could close`,
      detail: `Remove the ${found}.`,
    }),
  },
  {
    pattern: /^Block collections are not allowed|^Missing , or :/,
    tell: () => ({ summary: "There is no comma between two values", detail: "Write a comma between them." }),
  },
  {
    pattern: /^Invalid escape sequence/,
    tell: () => ({
      summary: "This is not an escape sequence of YAML",
      detail: "Write \\\\ for a backslash, or use single quotes, in which a backslash is an ordinary character.",
    }),
  },
  {
    pattern: /^Comments must be separated/,
    tell: ({ found }) => ({
      summary: "There is no space before the comment",
      detail: `Write a space before the #, or, if \`${found}\` belongs to the value, put the value in quotes.`,
    }),
  },
];

function inQuotes(value: string): string {
  return JSON.stringify(value);
}
