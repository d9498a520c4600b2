/**
 * Converts `cluster.yaml` to a ClusterSpec, or reports everything that is wrong with it, sorted by position. Four
 * checks, each reporting all its findings: the file (size, encoding), YAML, the schema, the rules. Only a file that
 * passes all of them gives a spec.
 */
import { canonicalDigest } from "../base/canonical-json.ts";
import type { Diagnostic } from "../base/diagnostic.ts";
import { chooseProvider, mayBeProviderKey } from "./choose-provider.ts";
import { schemaFor } from "./cluster-schema.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import type { WrittenCluster } from "./declaration/cluster.ts";
import { diagnosticsFrom } from "./diagnostics-from.ts";
import { draftSpec } from "./draft-spec.ts";
import type { Variables } from "./interpolate.ts";
import type { ProviderSchema } from "./provider-schema.ts";
import { shapesFor } from "./provider-shapes.ts";
import { type ReadSource, readSource } from "./read-source.ts";
import { resolveSpec } from "./resolve-spec.ts";
import { checkAdoption } from "./rules/adoption.ts";
import { checkExtraNames } from "./rules/extra-names.ts";
import { checkMemberCount } from "./rules/member-count.ts";
import { checkMovedMasters } from "./rules/moved-masters.ts";
import { checkPorts } from "./rules/ports.ts";
import type { SpecRule } from "./rules/rule.ts";
import { checkStateBackend } from "./rules/state-backend.ts";
import { checkTimeouts } from "./rules/timeouts.ts";
import { checkUniqueNames } from "./rules/unique-names.ts";
import type { Shapes } from "./schema/shape.ts";
import { createShapeCheck, type ShapeCheck } from "./schema-findings.ts";
import { createSourceText, rangeBetween, type SourceText } from "./source-text.ts";
import { toCurrentVersion } from "./spec-version.ts";
import { specWarnings } from "./spec-warnings.ts";
import { readYaml } from "./yaml-document.ts";

export type LoadedSpec = {
  /** Null if there are errors. */
  readonly spec: ClusterSpec | null;
  /** The errors. */
  readonly diagnostics: readonly Diagnostic[];
  /** Risks of a spec without errors. */
  readonly warnings: readonly Diagnostic[];
  /** SHA-256 of the file's bytes and of the variables that it uses, in hexadecimal; null if it could not be read. */
  readonly sourceDigest: string | null;
  /** Variables that the file refers to, with their values; null if it could not be read or is not YAML. */
  readonly variables: ReadonlyMap<string, string> | null;
};

const rules: readonly SpecRule[] = [
  checkMemberCount,
  checkUniqueNames,
  checkPorts,
  checkTimeouts,
  checkStateBackend,
  checkAdoption,
  checkMovedMasters,
  checkExtraNames,
];

type ParsedSpec = Omit<LoadedSpec, "sourceDigest">;

export type SpecReader = {
  /** Reads and validates the spec at `path`, called `shownAs` in diagnostics; never throws because of its content. */
  load(path: string, shownAs?: string, variables?: Variables): LoadedSpec;
  /** Validates a spec that was read. */
  loadSource(source: ReadSource, shownAs: string, variables?: Variables): LoadedSpec;
  /** Validates a text in memory; `filename` is used in diagnostics only. */
  parse(filename: string, text: string, variables?: Variables): ParsedSpec;
  /** The cluster of a valid document; null for an invalid one. */
  resolve(document: WrittenCluster): ClusterSpec | null;
};

/** The schema and the rules of one provider. */
type ProviderChecks = {
  readonly provider: ProviderSchema;
  readonly shapes: Shapes;
  readonly check: (document: unknown) => ShapeCheck;
};

/** A reader of specs for any of `providers`; the first is the default. */
export function createSpecReader(providers: readonly ProviderSchema[]): SpecReader {
  const made = new Map<string, ProviderChecks>();
  const checksFor = (provider: ProviderSchema): ProviderChecks => {
    const checks = made.get(provider.type) ?? {
      provider,
      shapes: shapesFor(provider, providers),
      check: createShapeCheck(schemaFor(provider, providers, "check")),
    };
    made.set(provider.type, checks);
    return checks;
  };
  const parse: SpecReader["parse"] = (filename, text, variables = {}) =>
    parseSpec(filename, text, { variables, providers, checksFor });
  const loadSource: SpecReader["loadSource"] = (source, shownAs, variables = {}) => {
    if (!source.ok) return { ...refused([source.diagnostic], null), sourceDigest: null };
    const parsed = parse(shownAs, source.text, variables);
    const used = Object.fromEntries(parsed.variables ?? []);
    const sourceDigest = Object.keys(used).length === 0 ? source.digest : canonicalDigest([source.digest, used]);
    return { ...parsed, sourceDigest };
  };
  return {
    parse,
    loadSource,
    load: (path, shownAs = path, variables = {}) => loadSource(readSource(path, shownAs), shownAs, variables),
    resolve: (written) => {
      const { provider } = chooseProvider(written, providers);
      const { document } = checksFor(provider).check(structuredClone(written));
      return document === null ? null : resolveSpec(document, provider);
    },
  };
}

type ParseOptions = {
  readonly variables: Variables;
  readonly providers: readonly ProviderSchema[];
  readonly checksFor: (provider: ProviderSchema) => ProviderChecks;
};

function parseSpec(filename: string, text: string, { variables, providers, checksFor }: ParseOptions): ParsedSpec {
  const source = createSourceText(filename, text);
  const { value: written, places, findings, variables: used, unresolved } = readYaml(text, variables);
  if (written === undefined) return refused(diagnosticsFrom("error", source, places, findings), null);
  if (written === null && findings.length === 0) return refused([emptyFile(source)], used);
  const { value, finding } = toCurrentVersion(written);
  // Whatever else a schema of this version would say of it is beside the point.
  if (finding !== null) return refused(diagnosticsFrom("error", source, places, [finding]), used);
  const choice = chooseProvider(value, providers);
  const { provider, shapes, check } = checksFor(choice.provider);
  const draft = draftSpec(value, provider, shapes);
  const ruleFindings = [...rules, ...(choice.isKnown ? provider.rules : [])].flatMap((rule) => rule(draft));
  // Last, because it fills the defaults into the value.
  const { document, findings: shapeFindings } = check(value);
  const found = [...shapeFindings, ...ruleFindings]
    .filter(({ place }) => !("pointer" in place && isWithin(unresolved, place.pointer)))
    .filter((finding) => choice.isKnown || !mayBeProviderKey(finding));
  const all = [...findings, ...found];
  if (document === null || all.length > 0) return refused(diagnosticsFrom("error", source, places, all), used);
  const spec = resolveSpec(document, provider);
  const warnings = diagnosticsFrom("warning", source, places, specWarnings(spec));
  return { spec, diagnostics: [], warnings, variables: used };
}
function refused(diagnostics: readonly Diagnostic[], variables: LoadedSpec["variables"]): ParsedSpec {
  return { spec: null, diagnostics, warnings: [], variables };
}

/** Reports whether the value at `pointer`, or one of its parents, is among `pointers`. */
function isWithin(pointers: ReadonlySet<string>, pointer: string): boolean {
  for (let at = pointer; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) if (pointers.has(at)) return true;
  return false;
}

function emptyFile(source: SourceText): Diagnostic {
  const detail = "A spec begins with `apiVersion: haplan.dev/v1`. examples/ha-3-masters.yaml is a starting point.";
  const summary = `${source.filename} is empty`;
  return { severity: "error", code: "spec/empty", summary, detail, range: rangeBetween(source, 0, 0), snippet: "" };
}
