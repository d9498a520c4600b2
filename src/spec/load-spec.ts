/**
 * `cluster.yaml` → ClusterSpec, or everything that is wrong with it, sorted by place. Four stages, each reporting its
 * own diagnostics: the file (size, encoding), YAML, the schema, the rules. Only a file that passes all gives a spec.
 */
import { canonicalDigest } from "../base/canonical-json.ts";
import type { Diagnostic, Severity } from "../base/diagnostic.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import { draftSpec } from "./draft.ts";
import { type CheckedDocument, fillDefaults } from "./fill-defaults.ts";
import { pointerForPeople, type SpecFinding, type SpecPlace } from "./finding.ts";
import type { Variables } from "./interpolate.ts";
import { type ReadSource, readSource } from "./read-source.ts";
import { checkAddresses } from "./rules/addresses.ts";
import { checkAdoption } from "./rules/adoption.ts";
import { checkMemberCount } from "./rules/member-count.ts";
import { checkMovedMasters } from "./rules/moved-masters.ts";
import { checkPorts } from "./rules/ports.ts";
import type { SpecRule } from "./rules/rule.ts";
import { checkStateBackend } from "./rules/state-backend.ts";
import { checkTimeouts } from "./rules/timeouts.ts";
import { checkUniqueNames } from "./rules/unique-names.ts";
import { checkShape } from "./schema-findings.ts";
import { createSourceText, lineAt, rangeBetween, type SourceText } from "./source-text.ts";
import { specWarnings } from "./spec-warnings.ts";
import { readYaml, type YamlPlace } from "./yaml-document.ts";

export type LoadedSpec = {
  /** Null when there are errors. */
  readonly spec: ClusterSpec | null;
  /** What is wrong. */
  readonly diagnostics: readonly Diagnostic[];
  /** What a spec without errors risks. */
  readonly warnings: readonly Diagnostic[];
  /** SHA-256 of the file's bytes and of the variables that it uses, in hexadecimal; null when it could not be read. */
  readonly sourceDigest: string | null;
  /** Variables that the file refers to, with what they stood for; null when it could not be read or is not YAML. */
  readonly variables: ReadonlyMap<string, string> | null;
};

const rules: readonly SpecRule[] = [
  checkMemberCount,
  checkUniqueNames,
  checkAddresses,
  checkPorts,
  checkTimeouts,
  checkStateBackend,
  checkAdoption,
  checkMovedMasters,
];
const diagnosticsMax = 50;

/** Reads and checks the spec at `path`, called `shownAs` in diagnostics; never throws for what a file may hold. */
export function loadSpec(path: string, shownAs: string = path, variables: Variables = {}): LoadedSpec {
  return loadSource(readSource(path, shownAs), shownAs, variables);
}

/** Checks a spec that was read. */
export function loadSource(source: ReadSource, shownAs: string, variables: Variables = {}): LoadedSpec {
  if (!source.ok) return { ...refused([source.diagnostic], null), sourceDigest: null };
  const parsed = parseSpec(shownAs, source.text, variables);
  const used = Object.fromEntries(parsed.variables ?? []);
  const sourceDigest = Object.keys(used).length === 0 ? source.digest : canonicalDigest([source.digest, used]);
  return { ...parsed, sourceDigest };
}

/** The same for a text that is in memory; `filename` is used in diagnostics only. */
export function parseSpec(filename: string, text: string, variables: Variables = {}): Omit<LoadedSpec, "sourceDigest"> {
  const source = createSourceText(filename, text);
  const { value, places, findings, variables: used, unresolved } = readYaml(text, variables);
  const all = [...findings];
  if (value === undefined) return refused(diagnosticsFrom("error", source, places, all), null);
  if (value === null && all.length === 0) return refused([emptyFile(source)], used);
  const draft = draftSpec(value);
  const found = [...checkShape(value), ...rules.flatMap((rule) => rule(draft))];
  all.push(...found.filter(({ place }) => !("pointer" in place && isWithin(unresolved, place.pointer))));
  if (all.length > 0) return refused(diagnosticsFrom("error", source, places, all), used);
  const spec = fillDefaults(value as unknown as CheckedDocument);
  const warnings = diagnosticsFrom("warning", source, places, specWarnings(spec));
  return { spec, diagnostics: [], warnings, variables: used };
}

function refused(
  diagnostics: readonly Diagnostic[],
  variables: LoadedSpec["variables"],
): Omit<LoadedSpec, "sourceDigest"> {
  return { spec: null, diagnostics, warnings: [], variables };
}

/** Whether the value at `pointer`, or one that holds it, is among `pointers`. */
function isWithin(pointers: ReadonlySet<string>, pointer: string): boolean {
  for (let at = pointer; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) if (pointers.has(at)) return true;
  return false;
}

function diagnosticsFrom(
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
    const address = "pointer" in place && place.pointer !== "" ? { address: pointerForPeople(place.pointer) } : {};
    return { severity, code, summary, detail, range, snippet: lineAt(source, start), ...address };
  });
  return placed.length <= diagnosticsMax ? diagnostics : [...diagnostics, andMore(placed.length - diagnosticsMax)];
}

/** A place that the file does not have (a missing key, say) is shown at what would hold it. */
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

function emptyFile(source: SourceText): Diagnostic {
  const detail = "A spec begins with `apiVersion: haplan.dev/v1`. examples/ha-3-masters.yaml is one to start from.";
  const summary = `${source.filename} is empty`;
  return { severity: "error", code: "spec/empty", summary, detail, range: rangeBetween(source, 0, 0), snippet: "" };
}

function andMore(count: number): Diagnostic {
  return {
    severity: "error",
    code: "spec/more",
    summary: `... and ${count} more`,
    detail: "Mend the first ones first.",
  };
}
