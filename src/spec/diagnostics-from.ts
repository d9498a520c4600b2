/** Converts findings, located by JSON pointer, to diagnostics with line and column, in the order of the file. */
import type { Diagnostic, Severity } from "../base/diagnostic.ts";
import { formatPointer, type SpecFinding, type SpecPlace } from "./finding.ts";
import { lineAt, rangeBetween, type SourceText } from "./source-text.ts";
import type { YamlPlace } from "./yaml-document.ts";

const diagnosticsMax = 50;

/** At most 50; the last one says how many more there are. */
export function diagnosticsFrom(
  severity: Severity,
  source: SourceText,
  places: ReadonlyMap<string, YamlPlace>,
  findings: readonly SpecFinding[],
): readonly Diagnostic[] {
  const placed = findings
    .map((finding) => ({ finding, ...spanOf(places, finding.place) }))
    .toSorted((left, right) => left.start - right.start);
  const diagnostics = placed.slice(0, diagnosticsMax).map(({ finding, start, end }): Diagnostic => {
    const { code, summary, detail, place } = finding;
    const range = rangeBetween(source, start, end);
    const address = "pointer" in place && place.pointer !== "" ? { address: formatPointer(place.pointer) } : {};
    return { severity, code, summary, detail, range, snippet: lineAt(source, start), ...address };
  });
  return placed.length <= diagnosticsMax ? diagnostics : [...diagnostics, andMore(placed.length - diagnosticsMax)];
}

/** A position that does not exist in the file (such as a missing key) is shown at its parent. */
function spanOf(places: ReadonlyMap<string, YamlPlace>, place: SpecPlace): { start: number; end: number } {
  if (!("pointer" in place)) return { start: place.start, end: place.end };
  for (let pointer = place.pointer; ; pointer = pointer.slice(0, pointer.lastIndexOf("/"))) {
    const found = places.get(pointer);
    if (found !== undefined) {
      const span = place.part === "key" || pointer !== place.pointer ? (found.key ?? found.value) : found.value;
      return { start: span.start, end: span.end };
    }
    if (pointer === "") return { start: 0, end: 0 };
  }
}

function andMore(count: number): Diagnostic {
  return {
    severity: "error",
    code: "spec/more",
    summary: `... and ${count} more`,
    detail: "Fix the first ones first.",
  };
}
