/** Puts the lists that `hostsFrom` names into a document. Pure: the texts were read before. */
import type { Json } from "../../base/json.ts";
import { findingAt, pointerInto, pointerKeys, type SpecFinding } from "../finding.ts";
import type { Shapes } from "../schema/shape.ts";
import { findHostSources, type HostListCheck, type HostSource, type HostTexts, inputKey } from "./host-source.ts";
import { readHosts } from "./read-hosts.ts";

export type ExpandedHosts = {
  readonly document: Json;
  /** The lists, by their pointer in the spec. */
  readonly lists: ReadonlyMap<string, Json>;
  readonly findings: readonly SpecFinding[];
  /** Pointers of lists that are unknown because of these findings. */
  readonly unknown: ReadonlySet<string>;
  /** Where each part of a list comes from, by its pointer in the spec. */
  readonly origins: ReadonlyMap<string, string>;
};

export type ExpandOptions = {
  readonly check: HostListCheck;
  readonly shapes: Shapes;
  readonly texts: HostTexts;
  /** Reports whether the value at a pointer, or a value within it, could not be determined. */
  readonly isUnresolved: (pointer: string) => boolean;
};

export function expandHosts(document: Json, { check, shapes, texts, isUnresolved }: ExpandOptions): ExpandedHosts {
  const { sources, findings, invalid } = findHostSources(document, check);
  const lists = new Map<string, Json>();
  const all: SpecFinding[] = [...findings];
  const unknown = new Set(invalid);
  const origins = new Map<string, string>();
  for (const source of sources) {
    // The mistake is reported already.
    const read = isUnresolved(source.pointer) ? { findings: [] } : readSource(source, texts, shapes);
    if ("findings" in read) {
      all.push(...read.findings);
      unknown.add(source.pointer);
      continue;
    }
    lists.set(source.pointer, [...read.hosts]);
    for (const [pointer, place] of read.origins) origins.set(pointer, place);
  }
  const expanded = [...lists].reduce(
    (value, [pointer, list]) => replaceAt(value, pointerKeys(pointer), list),
    document,
  );
  return { document: expanded, lists, findings: all, unknown, origins };
}

/** The finding with the place that its value comes from. */
export function withOrigin(finding: SpecFinding, origins: ExpandedHosts["origins"]): SpecFinding {
  if (!("pointer" in finding.place)) return finding;
  for (let at = finding.related ?? finding.place.pointer; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
    const origin = origins.get(at);
    if (origin !== undefined)
      return {
        ...finding,
        detail: `${finding.detail}\n\n${finding.related === undefined ? "The value comes" : "The list comes"} from ${origin}.`,
      };
  }
  return finding;
}

function readSource(source: HostSource, texts: HostTexts, shapes: Shapes): ReturnType<typeof readHosts> {
  const found = texts.get(inputKey(source.input));
  if (found !== undefined && "text" in found) return readHosts(source, found.text, shapes);
  const text = found?.failed ?? { summary: "The hosts were not read", detail: "Only the spec itself was." };
  const key = "file" in source.input ? "file" : "command";
  const pointer = ["hostsFrom", key].reduce(pointerInto, source.pointer);
  return { findings: [findingAt(pointer, { code: "spec/no-host-list", ...text })] };
}

function replaceAt(value: Json, [key, ...rest]: readonly string[], replacement: Json): Json {
  if (key === undefined) return replacement;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const mapping = value as { readonly [key: string]: Json };
  return { ...mapping, [key]: replaceAt(mapping[key] ?? null, rest, replacement) };
}
