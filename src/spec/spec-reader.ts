/**
 * Converts `cluster.yaml` to a ClusterSpec, or reports everything that is wrong with it, sorted by position. Four
 * checks, each reporting all its findings: the file (size, encoding), YAML, the schema, the rules. Only a file that
 * passes all of them gives a spec.
 */
import { canonicalDigest } from "../base/canonical-json.ts";
import type { Diagnostic } from "../base/diagnostic.ts";
import type { Json } from "../base/json.ts";
import { withCanonicalAddresses } from "./canonical-addresses.ts";
import { chooseProvider, mayDependOnProvider } from "./choose-provider.ts";
import { schemaFor } from "./cluster-schema.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import type { WrittenCluster } from "./declaration/cluster.ts";
import { diagnosticsFrom } from "./diagnostics-from.ts";
import { draftSpec } from "./draft-spec.ts";
import { type ExpandedHosts, expandHosts, withOrigin } from "./hosts-from/expand-hosts.ts";
import { findHostSources, type HostInput, type HostListCheck, type HostTexts } from "./hosts-from/host-source.ts";
import type { Variables } from "./interpolate.ts";
import type { ProviderSchema } from "./provider-schema.ts";
import { shapesFor } from "./provider-shapes.ts";
import { type ReadSource, readSource } from "./read-source.ts";
import { resolveSpec } from "./resolve-spec.ts";
import { checkAddressFamilies } from "./rules/address-families.ts";
import { checkAdoption } from "./rules/adoption.ts";
import { checkAuthority } from "./rules/authority.ts";
import { checkBackup } from "./rules/backup.ts";
import { checkEtcdProgram } from "./rules/etcd-program.ts";
import { checkExtraNames } from "./rules/extra-names.ts";
import { checkHostAddresses } from "./rules/host-addresses.ts";
import { checkKubernetes } from "./rules/kubernetes.ts";
import { checkLoadBalancerHosts } from "./rules/load-balancer-hosts.ts";
import { checkMemberCount } from "./rules/member-count.ts";
import { checkMigrateFrom } from "./rules/migrate-from.ts";
import { checkMovedMasters } from "./rules/moved-masters.ts";
import { checkPorts } from "./rules/ports.ts";
import { checkRepair } from "./rules/repair.ts";
import type { SpecRule } from "./rules/rule.ts";
import { checkStateBackend } from "./rules/state-backend.ts";
import { checkTimeouts } from "./rules/timeouts.ts";
import { checkUniqueNames } from "./rules/unique-names.ts";
import { toJsonSchema } from "./schema/json-schema.ts";
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
  checkHostAddresses,
  checkAddressFamilies,
  checkEtcdProgram,
  checkMigrateFrom,
  checkTimeouts,
  checkStateBackend,
  checkAdoption,
  checkMovedMasters,
  checkExtraNames,
  checkAuthority,
  checkKubernetes,
  checkBackup,
  checkLoadBalancerHosts,
  checkRepair,
];

type ParsedSpec = Omit<LoadedSpec, "sourceDigest"> & {
  /** Lists of hosts that are not in the file itself, by JSON pointer. */
  readonly hostLists: ExpandedHosts["lists"];
};

export type SpecReader = {
  /** What a spec needs besides its file: `fetchHosts` reads it. */
  hostInputs(source: ReadSource, variables?: Variables): readonly HostInput[];
  /** Reads and validates the spec at `path`, called `shownAs` in diagnostics; never throws because of its content. */
  load(path: string, shownAs?: string, variables?: Variables): LoadedSpec;
  /** Validates a spec that was read, with what it needs besides its file. */
  loadSource(source: ReadSource, shownAs: string, variables?: Variables, texts?: HostTexts): LoadedSpec;
  /** Validates a text in memory; `filename` is used in diagnostics only. */
  parse(filename: string, text: string, variables?: Variables, texts?: HostTexts): ParsedSpec;
  /** The cluster of a valid document; null for an invalid one. */
  resolve(document: WrittenCluster): ClusterSpec | null;
};

/** The schema and the rules of one provider. */
type ProviderChecks = {
  readonly provider: ProviderSchema;
  readonly shapes: Shapes;
  readonly check: (document: unknown) => ShapeCheck;
  readonly checkHostList: HostListCheck;
};

/** A reader of specs for any of `providers`; the first is the default. */
export function createSpecReader(providers: readonly ProviderSchema[]): SpecReader {
  const made = new Map<string, ProviderChecks>();
  const checksFor = (provider: ProviderSchema): ProviderChecks => {
    const checks = made.get(provider.type) ?? createChecks(provider, providers);
    made.set(provider.type, checks);
    return checks;
  };
  const parse: SpecReader["parse"] = (filename, text, variables = {}, texts = new Map()) =>
    parseSpec(filename, text, { variables, texts, providers, checksFor });
  const loadSource: SpecReader["loadSource"] = (source, shownAs, variables = {}, texts = new Map()) => {
    if (!source.ok) return { ...refused([source.diagnostic], null), sourceDigest: null };
    const { hostLists, ...parsed } = parse(shownAs, source.text, variables, texts);
    const more = [parsed.variables ?? new Map<string, string>(), hostLists].map((map) => Object.fromEntries(map));
    const used = hostLists.size === 0 ? more.slice(0, 1) : more;
    const isAlone = used.every((entries) => Object.keys(entries).length === 0);
    return { ...parsed, sourceDigest: isAlone ? source.digest : canonicalDigest([source.digest, ...used]) };
  };
  return {
    parse,
    loadSource,
    hostInputs: (source, variables = {}) => {
      if (!source.ok) return [];
      const { value: written, unresolved } = readYaml(source.text, variables);
      if (written === undefined || written === null) return [];
      const { value, finding } = toCurrentVersion(written);
      if (finding !== null) return [];
      const { checkHostList } = checksFor(chooseProvider(value, providers).provider);
      const { sources } = findHostSources(value, checkHostList);
      return sources.filter(({ pointer }) => !holds(unresolved, pointer)).map(({ input }) => input);
    },
    load: (path, shownAs = path, variables = {}) => loadSource(readSource(path, shownAs), shownAs, variables),
    resolve: (written) => {
      const { provider } = chooseProvider(written, providers);
      const { document } = checksFor(provider).check(structuredClone(withCanonicalAddresses(written as Json)));
      return document === null ? null : resolveSpec(document, provider);
    },
  };
}

function createChecks(provider: ProviderSchema, providers: readonly ProviderSchema[]): ProviderChecks {
  const shapes = shapesFor(provider, providers);
  let checkHostList: HostListCheck | null = null;
  return {
    provider,
    shapes,
    check: createShapeCheck(schemaFor(provider, providers, "check")),
    // Few specs need it, and every command would wait for it.
    checkHostList: (value) => {
      checkHostList ??= createShapeCheck(toJsonSchema({ shape: "hostList" }, shapes, "check"));
      return checkHostList(value);
    },
  };
}

type ParseOptions = {
  readonly variables: Variables;
  readonly texts: HostTexts;
  readonly providers: readonly ProviderSchema[];
  readonly checksFor: (provider: ProviderSchema) => ProviderChecks;
};

function parseSpec(filename: string, text: string, options: ParseOptions): ParsedSpec {
  const { variables, texts, providers, checksFor } = options;
  const source = createSourceText(filename, text);
  const { value: written, places, findings, variables: used, unresolved } = readYaml(text, variables);
  if (written === undefined) return refused(diagnosticsFrom("error", source, places, findings), null);
  if (written === null && findings.length === 0) return refused([emptyFile(source)], used);
  const { value: unexpanded, finding } = toCurrentVersion(written);
  // Whatever else a schema of this version would say of it is beside the point.
  if (finding !== null) return refused(diagnosticsFrom("error", source, places, [finding]), used);
  const choice = chooseProvider(unexpanded, providers);
  const { provider, shapes, check, checkHostList } = checksFor(choice.provider);
  const isUnresolved = (pointer: string): boolean => holds(unresolved, pointer);
  const hosts = expandHosts(unexpanded, { check: checkHostList, shapes, texts, isUnresolved });
  const value = withCanonicalAddresses(hosts.document);
  const draft = draftSpec(value, provider, shapes);
  const ruleFindings = [...rules, ...(choice.isKnown ? provider.rules : [])].flatMap((rule) => rule(draft));
  // Last, because it fills the defaults into the value.
  const { document, findings: shapeFindings } = check(value);
  const found = [...shapeFindings, ...ruleFindings]
    .filter(({ place }) => !("pointer" in place && isWithin(unresolved, place.pointer)))
    .filter(({ place }) => !("pointer" in place && isWithin(hosts.unknown, place.pointer)))
    .filter((finding) => choice.isKnown || !mayDependOnProvider(finding))
    .map((finding) => withOrigin(finding, hosts.origins));
  const all = [...findings, ...hosts.findings, ...found];
  if (document === null || all.length > 0) return refused(diagnosticsFrom("error", source, places, all), used);
  const spec = resolveSpec(document, provider);
  const warnings = diagnosticsFrom(
    "warning",
    source,
    places,
    specWarnings(spec).map((warning) => withOrigin(warning, hosts.origins)),
  );
  return { spec, diagnostics: [], warnings, variables: used, hostLists: hosts.lists };
}

function refused(diagnostics: readonly Diagnostic[], variables: LoadedSpec["variables"]): ParsedSpec {
  return { spec: null, diagnostics, warnings: [], variables, hostLists: new Map() };
}

/** Reports whether the value at `pointer`, or one of its parents, is among `pointers`. */
function isWithin(pointers: ReadonlySet<string>, pointer: string): boolean {
  for (let at = pointer; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) if (pointers.has(at)) return true;
  return false;
}

/** Reports whether the value at `pointer`, or one within it, is among `pointers`. */
function holds(pointers: ReadonlySet<string>, pointer: string): boolean {
  return [...pointers].some((each) => each === pointer || each.startsWith(`${pointer}/`));
}

function emptyFile(source: SourceText): Diagnostic {
  const detail = "A spec begins with `apiVersion: haplan.dev/v1`. examples/ha-3-masters.yaml is a starting point.";
  const summary = `${source.filename} is empty`;
  return { severity: "error", code: "spec/empty", summary, detail, range: rangeBetween(source, 0, 0), snippet: "" };
}
