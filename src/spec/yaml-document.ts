// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how specs refer to variables
/**
 * Converts YAML to a plain JSON value plus the position of every key and value. Aliases are resolved with a budget, so
 * that a few lines that expand to millions of values are rejected before they are expanded. Duplicate keys are found
 * with a set per mapping; the library's own check compares every key with every other.
 */
import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseDocument, type Scalar } from "yaml";
import type { Json } from "../base/json.ts";
import { pointerInto, type SpecFinding } from "./finding.ts";
import { type Interpolation, interpolate, resolvePlainScalar, type Variables } from "./interpolate.ts";
import { createSourceText, lineNumberAt, type SourceText } from "./source-text.ts";
import { syntaxFinding } from "./syntax-finding.ts";

type Span = { readonly start: number; readonly end: number };
/** The position of an entry; `key` is null for items of a list and for the document itself. */
export type YamlPlace = { readonly key: Span | null; readonly value: Span };

export type YamlDocument = {
  /** Undefined if the text is not YAML at all. */
  readonly value: Json | undefined;
  /** By JSON pointer. */
  readonly places: ReadonlyMap<string, YamlPlace>;
  readonly findings: readonly SpecFinding[];
  /** Variables that the text refers to, with their values. */
  readonly variables: ReadonlyMap<string, string>;
  /**
   * Pointers of unknown values, because a variable is not set or a key is duplicated: nothing else is reported about
   * them.
   */
  readonly unresolved: ReadonlySet<string>;
};

const nodesMax = 20_000;
const depthMax = 32;

export type YamlOptions = {
  /** Keys that begin with `x-` are part of the value; by default they are dropped. */
  readonly keepExtensions?: boolean;
};

export function readYaml(text: string, variables: Variables = {}, options: YamlOptions = {}): YamlDocument {
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, { uniqueKeys: false, prettyErrors: false, strict: true, merge: false });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return notRead([tooDeep({ start: 0, end: 0 })]);
  }
  if (document.errors.length > 0) return notRead([syntaxFinding(text, document.errors)]);
  const walk: Walk = {
    text,
    source: createSourceText("", text),
    variables,
    keepExtensions: options.keepExtensions ?? false,
    used: new Map(),
    unresolved: new Set(),
    places: new Map(),
    findings: [],
    anchors: new Map(),
    nodes: 0,
    stopped: false,
  };
  const value = readNode(walk, document.contents as Node | null, "", null, null, 0);
  const { places, findings, used, unresolved } = walk;
  return { value: walk.stopped ? undefined : value, places, findings, variables: used, unresolved };
}

function notRead(findings: readonly SpecFinding[]): YamlDocument {
  return { value: undefined, places: new Map(), findings, variables: new Map(), unresolved: new Set() };
}

type Walk = {
  readonly text: string;
  readonly source: SourceText;
  readonly variables: Variables;
  readonly keepExtensions: boolean;
  readonly used: Map<string, string>;
  readonly unresolved: Set<string>;
  readonly places: Map<string, YamlPlace>;
  readonly findings: SpecFinding[];
  readonly anchors: Map<string, Node>;
  nodes: number;
  /** Set once the document is rejected as a whole. */
  stopped: boolean;
};

/** `aliasSpan` is the position of the alias through which this node was reached: errors point there. */
function readNode(
  walk: Walk,
  node: Node | null,
  pointer: string,
  key: Span | null,
  aliasSpan: Span | null,
  depth: number,
): Json {
  const span = aliasSpan ?? spanOf(node) ?? key ?? { start: 0, end: 0 };
  if (walk.stopped) return null;
  if (++walk.nodes > nodesMax || depth > depthMax) {
    walk.stopped = true;
    walk.findings.push(depth > depthMax ? tooDeep(span) : tooManyValues(span));
    return null;
  }
  if (isAlias(node)) {
    const target = walk.anchors.get(node.source);
    if (target !== undefined) return readNode(walk, target, pointer, key, span, depth + 1);
    walk.stopped = true;
    walk.findings.push(unknownAnchor(span, node.source));
    return null;
  }
  // An entry without a value is shown at its key, because it has no other position.
  walk.places.set(pointer, { key, value: span.start === span.end ? (key ?? span) : span });
  const value = readValue(walk, node, pointer, aliasSpan, depth);
  // Known only from here on: an anchor inside its own value would be infinite.
  if (node !== null && "anchor" in node && typeof node.anchor === "string") walk.anchors.set(node.anchor, node);
  return value;
}

function readValue(walk: Walk, node: Node | null, pointer: string, aliasSpan: Span | null, depth: number): Json {
  if (isMap(node)) return readMapping(walk, node.items as Pair<Node, Node | null>[], pointer, aliasSpan, depth);
  if (isSeq(node)) {
    return node.items.map((item, index) =>
      readNode(walk, item as Node | null, pointerInto(pointer, index), null, aliasSpan, depth + 1),
    );
  }
  if (!isScalar(node)) return null;
  const { value } = node;
  if (typeof value === "string" && value.includes("$")) return interpolated(walk, node, value, pointer);
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}

function interpolated(walk: Walk, node: Scalar, value: string, pointer: string): Json {
  const outcome = interpolate(value, walk.variables);
  for (const { name, value: text } of outcome.used) walk.used.set(name, text);
  if (outcome.missing.length > 0 || outcome.malformed) walk.unresolved.add(pointer);
  walk.findings.push(...variableFindings(walk, spanOf(node) ?? { start: 0, end: 0 }, outcome));
  return outcome.changed && node.type === "PLAIN" ? resolvePlainScalar(outcome.text) : outcome.text;
}

function variableFindings(walk: Walk, span: Span, outcome: Interpolation): readonly SpecFinding[] {
  const written = walk.text.slice(span.start, span.end);
  const missing = outcome.missing.map((name) => {
    const at = written.indexOf(`\${${name}`);
    const place = at === -1 ? span : { start: span.start + at, end: span.start + written.indexOf("}", at) + 1 };
    const detail = `Set it in the environment, pass \`-var ${name}=VALUE\`, or write \`\${${name}:-DEFAULT}\`. Write a literal dollar sign as \`$$\`.`;
    return { place, code: "spec/unset-variable", summary: `The variable ${name} is not set`, detail };
  });
  if (!outcome.malformed) return missing;
  const detail =
    "Write ${NAME} or ${NAME:-default}; names consist of letters, digits and underscores. Write a literal dollar sign as $$.";
  return [
    ...missing,
    { place: span, code: "spec/bad-variable", summary: "This is not a valid reference to a variable", detail },
  ];
}

function readMapping(
  walk: Walk,
  pairs: readonly Pair<Node, Node | null>[],
  pointer: string,
  aliasSpan: Span | null,
  depth: number,
): Json {
  // A mapping's own keys override merged ones, wherever the merge key is: so they are read first.
  const merged = mergedEntries(walk, pairs, pointer, aliasSpan, depth);
  const entries = new Map<string, Json>();
  const firsts = new Map<string, number>();
  for (const pair of pairs) {
    if (walk.stopped) break;
    if (isMergeKey(pair.key)) continue;
    const keySpan = aliasSpan ?? spanOf(pair.key) ?? { start: 0, end: 0 };
    if (!isScalar(pair.key) || typeof pair.key.value === "object") {
      walk.findings.push(badKey(keySpan));
      continue;
    }
    const name = String(pair.key.value);
    const within = pointerInto(pointer, name);
    if (name.startsWith("x-") && !walk.keepExtensions) {
      readExtension(walk, pair.value, within, keySpan, depth);
      continue;
    }
    const value = readNode(walk, pair.value, within, keySpan, aliasSpan, depth + 1);
    if (walk.stopped) break;
    if (entries.has(name)) {
      walk.findings.push(duplicateKey(keySpan, name, lineNumberAt(walk.source, firsts.get(name) ?? 0)));
      // It is unknown which of the two counts, so neither is checked.
      walk.unresolved.add(within);
    } else {
      entries.set(name, value);
      firsts.set(name, keySpan.start);
    }
  }
  return Object.fromEntries([...merged, ...entries]);
}

/** `<<`, unless it is in quotes. */
function isMergeKey(key: Node): key is Scalar<string> {
  return isScalar(key) && key.value === "<<" && key.type === "PLAIN";
}

/**
 * The entries of `<<: *NAME` and `<<: [*A, *B]` (https://yaml.org/type/merge.html); of a list, the first counts. Each
 * is shown at the position of the merge.
 */
function mergedEntries(
  walk: Walk,
  pairs: readonly Pair<Node, Node | null>[],
  pointer: string,
  aliasSpan: Span | null,
  depth: number,
): ReadonlyMap<string, Json> {
  const entries = new Map<string, Json>();
  const [merge, ...more] = pairs.filter(({ key }) => isMergeKey(key));
  if (merge === undefined) return entries;
  const firstLine = lineNumberAt(walk.source, spanOf(merge.key)?.start ?? 0);
  for (const { key } of more) {
    walk.findings.push(duplicateKey(aliasSpan ?? spanOf(key) ?? { start: 0, end: 0 }, "<<", firstLine));
  }
  const own = walk.places.get(pointer);
  const sources = isSeq(merge.value) ? (merge.value.items as (Node | null)[]) : [merge.value];
  for (const source of sources.toReversed()) {
    const span = aliasSpan ?? spanOf(source) ?? spanOf(merge.key) ?? { start: 0, end: 0 };
    const value = readNode(walk, source, pointer, null, isAlias(source) ? null : span, depth + 1);
    if (walk.stopped) break;
    if (typeof value !== "object" || value === null || Array.isArray(value)) walk.findings.push(badMerge(span));
    else for (const [name, entry] of Object.entries(value)) entries.set(name, entry);
  }
  if (own !== undefined) walk.places.set(pointer, own);
  return entries;
}

/** Keys that begin with `x-` belong to the user; only their anchors count, and their variables where these are used. */
function readExtension(walk: Walk, node: Node | null, pointer: string, keySpan: Span, depth: number): void {
  const found = walk.findings.length;
  readNode(walk, node, pointer, keySpan, null, depth + 1);
  const own = walk.findings.splice(found);
  walk.findings.push(...own.filter(({ code }) => code !== "spec/unset-variable" && code !== "spec/bad-variable"));
}

function spanOf(node: Node | null | undefined): Span | null {
  const range = node?.range;
  return range === null || range === undefined ? null : { start: range[0], end: range[1] };
}

function tooManyValues(place: Span): SpecFinding {
  const detail = `A spec may contain at most ${nodesMax} values once its aliases are expanded. Write the values out instead of nesting aliases.`;
  return { place, code: "spec/too-many-values", summary: "The file expands to too many values", detail };
}

function tooDeep(place: Span): SpecFinding {
  const detail = `Values may be nested at most ${depthMax} levels deep.`;
  return { place, code: "spec/too-deep", summary: "The file is nested too deeply", detail };
}

function unknownAnchor(place: Span, name: string): SpecFinding {
  const detail = `Define it before its use, outside of its own value: \`&${name}\`.`;
  return { place, code: "spec/unknown-anchor", summary: `There is no anchor "${name}" above this alias`, detail };
}

function badKey(place: Span): SpecFinding {
  return {
    place,
    code: "spec/bad-key",
    summary: "A key must be plain text",
    detail: "Write a name followed by a colon.",
  };
}

function badMerge(place: Span): SpecFinding {
  const detail = "Write `<<: *NAME`, where `&NAME` is before a mapping further up, or a list: `<<: [*A, *B]`.";
  return { place, code: "spec/bad-merge", summary: "Only mappings can be merged", detail };
}

function duplicateKey(place: Span, name: string, firstLine: number): SpecFinding {
  const detail = `The first one is on line ${firstLine}. It is ambiguous which of the two counts. Remove one of them.`;
  return { place, code: "spec/duplicate-key", summary: `The key "${name}" appears twice`, detail };
}
