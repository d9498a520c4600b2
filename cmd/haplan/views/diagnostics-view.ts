/**
 * Diagnostics as text (Terraform's bars, with the position and a caret below it) and in the format of its validate
 * -json.
 */
import type { Diagnostic } from "../../../src/base/diagnostic.ts";
import type { Paint } from "../paint.ts";

/** All diagnostics as text; empty if there are none. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], paint: Paint): string {
  return diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, paint)).join("\n");
}

/** Warnings as a list of their summaries. */
export function renderCompactWarnings(warnings: readonly Diagnostic[], paint: Paint): string {
  const lines = warnings.map(({ summary, range }) => {
    const place = range === undefined ? "" : ` (${range.filename}:${range.start.line}:${range.start.column})`;
    return `- ${summary}${place}`;
  });
  return [paint.bold(paint.yellow("Warnings:")), "", ...lines].join("\n");
}

function renderDiagnostic(diagnostic: Diagnostic, paint: Paint): string {
  const tone = diagnostic.severity === "error" ? paint.red : paint.yellow;
  const title = diagnostic.severity === "error" ? "Error" : "Warning";
  const [summary, ...more] = diagnostic.summary.split("\n");
  const lines = [`${tone(paint.bold(`${title}: `))}${paint.bold(summary ?? "")}`, ...more];
  const place = placeLines(diagnostic, paint);
  if (place.length > 0) lines.push("", ...place);
  if (diagnostic.detail) lines.push("", ...diagnostic.detail.split("\n").flatMap(wrap));
  const body = lines.map((line) => `${tone("│")} ${line}`.trimEnd());
  return [tone("╷"), ...body, tone("╵")].join("\n");
}

function placeLines({ range, snippet, address }: Diagnostic, paint: Paint): readonly string[] {
  if (range === undefined) return address === undefined ? [] : [`  with ${address}`];
  const { filename, start, end } = range;
  const about = address === undefined ? "" : `, in ${address}`;
  const lines = [`  on ${filename}:${start.line}:${start.column}${about}`];
  if (snippet === undefined || snippet === "") return lines;
  const number = `  ${String(start.line).padStart(4)}: `;
  const sameLine = end.line === start.line ? end.column - start.column : snippet.length - start.column + 1;
  const width = Math.max(1, Math.min(sameLine, snippet.length - start.column + 1));
  // A tab stays a tab, so that the caret is below its character.
  const lead = snippet.slice(0, start.column - 1).replace(/[^\t]/g, " ");
  return [...lines, `${number}${snippet}`, `${" ".repeat(number.length)}${lead}${paint.bold("^".repeat(width))}`];
}

/** Wraps prose at 76 columns; lines that begin with a space (tables) are left alone. */
function wrap(line: string): readonly string[] {
  if (line.length <= 76 || line.startsWith(" ")) return [line];
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ")) {
    if (current !== "" && current.length + word.length + 1 > 76) {
      lines.push(current);
      current = word;
    } else current = current === "" ? word : `${current} ${word}`;
  }
  return [...lines, current];
}

/** The object that `terraform validate -json` prints (format 1.0); `code` is haplan's own. */
export function diagnosticsToJson(diagnostics: readonly Diagnostic[]): object {
  const count = (severity: string): number => diagnostics.filter((item) => item.severity === severity).length;
  return {
    format_version: "1.0",
    valid: count("error") === 0,
    error_count: count("error"),
    warning_count: count("warning"),
    diagnostics: diagnostics.map(diagnosticToJson),
  };
}

export function diagnosticToJson(diagnostic: Diagnostic): object {
  const { severity, code, summary, detail, range, snippet, address } = diagnostic;
  return {
    severity,
    summary,
    detail: detail ?? "",
    ...(address === undefined ? {} : { address }),
    ...(range === undefined ? {} : { range }),
    ...(range === undefined || snippet === undefined ? {} : { snippet: snippetToJson(range, snippet) }),
    code,
  };
}

function snippetToJson(range: NonNullable<Diagnostic["range"]>, snippet: string): object {
  const start = range.start.column - 1;
  const end = range.end.line === range.start.line ? range.end.column - 1 : snippet.length;
  return {
    context: null,
    code: snippet,
    start_line: range.start.line,
    highlight_start_offset: Math.min(start, snippet.length),
    highlight_end_offset: Math.max(Math.min(start, snippet.length), Math.min(end, snippet.length)),
    values: [],
  };
}
