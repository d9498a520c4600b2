/** The reference of `cluster.yaml` as Markdown, from the spec's declaration and the providers' parts of it. */
import { stringify } from "yaml";
import type { Json } from "../../src/base/json.ts";
import { clusterShapes } from "../../src/spec/declaration/cluster.ts";
import type { ProviderSchema } from "../../src/spec/provider-schema.ts";
import { providerShape } from "../../src/spec/provider-shapes.ts";
import {
  type Keys,
  type MappingShape,
  type PlainShape,
  resolveShape,
  type Shape,
  type Shapes,
} from "../../src/spec/schema/shape.ts";

const marks = { begin: "<!-- generated: npm run docs:spec -->", end: "<!-- end of the generated part -->" };

/** `page` with its generated part generated again. @throws Error when the marks are not there */
export function withReference(page: string, providers: readonly ProviderSchema[]): string {
  const [begin, end] = [page.indexOf(marks.begin), page.indexOf(marks.end)];
  if (begin === -1 || end < begin) throw new Error(`The page has no generated part between ${Object.values(marks)}`);
  const shapes = { ...clusterShapes, provider: providerShape(providers) };
  const parts = [
    ...mappingSections("", clusterShapes.cluster, shapes),
    ...mappingSections("hostsFrom", clusterShapes.hostsFrom, shapes),
    ...providersSection(providers, shapes),
  ];
  return `${page.slice(0, begin)}${marks.begin}\n\n${parts.join("\n\n")}\n\n${page.slice(end)}`;
}

/** What a user could write: the example, the default, or the required keys of a mapping; one key where none is required. */
export function sampleOf(shape: Shape, shapes: Shapes): Json {
  const resolved = resolveShape(shape, shapes);
  const { example, default: fallback } = resolved;
  if (example !== undefined) return example;
  switch (resolved.type) {
    case "object": {
      const required = Object.entries(resolved.keys).filter(([, key]) => key.required === true);
      const shown = required.length > 0 ? required : Object.entries(resolved.keys).slice(0, 1);
      return Object.fromEntries(shown.map(([name, key]) => [name, sampleOf(key, shapes)]));
    }
    case "array":
      return [sampleOf(resolved.items, shapes)];
    default:
      if (fallback === undefined) throw new Error(`There is no example of ${resolved.description}`);
      return fallback;
  }
}

/** One section for the mapping at `path`, and one for each mapping within it. */
function mappingSections(path: string, { description, keys }: MappingShape, shapes: Shapes): readonly string[] {
  const title = `## ${path === "" ? "The top of the file" : `\`${path}\``}`;
  const own = [title, `${sentence(description)}${extensionNote(path)}`, table(path, keys, shapes)].join("\n\n");
  const inner = Object.entries(keys).flatMap(([name, shape]) => nestedSections(join(path, name), shape, shapes));
  return [own, ...inner];
}

function nestedSections(path: string, shape: Shape, shapes: Shapes): readonly string[] {
  const resolved = resolveShape(shape, shapes);
  if (resolved.type === "array") return nestedSections(`${path}[]`, resolved.items, shapes);
  return resolved.type === "object" ? mappingSections(path, resolved, shapes) : [];
}

const extendedPaths: Readonly<Record<string, string>> = {
  "spec.provider": "a provider's own keys",
  "spec.controlPlane.masters[]": "the provider's own keys of a host",
  "spec.workers[]": "the provider's own keys of a host",
  "spec.loadBalancer.hosts[]": "the provider's own keys of a host",
  "spec.repair.replace.spares[]": "the provider's own keys of a host",
  "spec.loadBalancer": "the provider's own keys of a load balancer",
  "hostsFrom.fields": "the provider's own keys of a host",
};

function extensionNote(path: string): string {
  const added = extendedPaths[path];
  return added === undefined ? "" : ` Takes ${added} as well: see [Providers](#providers).`;
}

function table(path: string, keys: Keys, shapes: Shapes): string {
  const rows = Object.entries(keys).map(([name, shape]) => row(join(path, name), name, shape, shapes));
  return ["| key | type | default | example | description |", "|---|---|---|---|---|", ...rows].join("\n");
}

function row(path: string, name: string, shape: Shape, shapes: Shapes): string {
  const resolved = resolveShape(shape, shapes);
  const example = code(sampleOf(shape, shapes));
  const cells = [code(name), typeText(path, resolved, shapes), defaultText(resolved), example, description(resolved)];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function typeText(path: string, shape: PlainShape, shapes: Shapes): string {
  switch (shape.type) {
    case "object":
      return `[mapping](#${anchor(path)})`;
    case "array":
      return `${listText(path, resolveShape(shape.items, shapes))}${shape.orFrom === undefined ? "" : ", or [`hostsFrom`](#lists-of-hosts-from-another-tool)"}`;
    case "boolean":
      return "boolean";
    case "string":
      if (shape.const !== undefined) return code(shape.const);
      return shape.enum === undefined ? "string" : choiceText(shape.enum);
    case "integer":
      return shape.enum === undefined ? `integer${rangeText(shape)}` : choiceText(shape.enum);
  }
}

function listText(path: string, items: PlainShape): string {
  return items.type === "object" ? `list of [mappings](#${anchor(`${path}[]`)})` : `list of ${items.type}s`;
}

function choiceText(choices: readonly (string | number)[]): string {
  return choices
    .map(code)
    .join(", ")
    .replace(/, ([^,]*)$/, " or $1");
}

function rangeText({ minimum, maximum }: { readonly minimum?: number; readonly maximum?: number }): string {
  return minimum === undefined || maximum === undefined ? "" : `, ${minimum} to ${maximum}`;
}

function defaultText({ required, default: fallback, filledBy, absent, type }: PlainShape): string {
  if (required === true) return "**required**";
  if (filledBy === "provider") return "[the provider's](#providers)";
  if (fallback === undefined) return absent ?? "";
  if (type === "object") return "the defaults of its keys";
  return Array.isArray(fallback) && fallback.length === 0 ? "none" : code(fallback);
}

/** A description begins with the value that it describes where there are several to choose from. */
function description(shape: PlainShape): string {
  const first = /^[\w-]+/.exec(shape.description)?.[0] ?? "";
  const choices: readonly (string | number)[] = ("enum" in shape ? shape.enum : undefined) ?? [];
  return choices.includes(first) ? `${shape.description}.` : sentence(shape.description);
}

function providersSection(providers: readonly ProviderSchema[], shapes: Shapes): readonly string[] {
  const intro = `A spec that names no provider is one for \`${providers[0]?.type}\`.`;
  return ["## Providers", intro, ...providers.flatMap((provider) => providerSection(provider, shapes))];
}

function providerSection(provider: ProviderSchema, shapes: Shapes): readonly string[] {
  const { type, address, deriveMasters, loadBalancerAddress, loadBalancerTypes, hasBalancerHosts } = provider;
  const required = hasBalancerHosts ? "required, unless there are `hosts`" : "required";
  const facts = [
    `- \`address\` of a host: ${address.description}, such as \`${address.example}\``,
    `- \`spec.controlPlane.masters\`: ${deriveMasters === null ? "required" : deriveMasters.description}`,
    `- \`spec.loadBalancer.type\`: ${choiceText(loadBalancerTypes)}, \`${loadBalancerTypes[0]}\` by default`,
    `- \`spec.loadBalancer.address\`: ${loadBalancerAddress === null ? required : `\`${loadBalancerAddress}\` by default`}`,
  ];
  const own = [
    ...ownKeys("in `spec.provider`", provider.settings, shapes),
    ...ownKeys("of each master, worker, load balancer's host and spare host", provider.hostKeys, shapes),
    ...ownKeys("in `spec.loadBalancer`", provider.loadBalancerKeys, shapes),
  ];
  return [
    `### \`${type}\``,
    `${provider.description}.`,
    facts.join("\n"),
    ...(own.length === 0 ? ["It has no keys of its own."] : own),
  ];
}

function ownKeys(where: string, keys: Keys, shapes: Shapes): readonly string[] {
  if (Object.keys(keys).length === 0) return [];
  return [`Its own keys ${where}:`, ownTable("", keys, shapes)];
}

/** One table for all: a mapping within has no section. */
function ownTable(path: string, keys: Keys, shapes: Shapes): string {
  const [head, line] = table("", {}, shapes).split("\n");
  return [head, line, ...ownRows(path, keys, shapes)].join("\n");
}

function ownRows(path: string, keys: Keys, shapes: Shapes): readonly string[] {
  return Object.entries(keys).flatMap(([name, shape]) => {
    const at = join(path, name);
    const resolved = resolveShape(shape, shapes);
    if (resolved.type !== "object") return [row(at, at, shape, shapes)];
    return ownRows(at, resolved.keys, shapes);
  });
}

function code(value: Json): string {
  const text = typeof value === "object" && value !== null ? flow(value) : String(value);
  return `\`${text}\``;
}

function flow(value: Json): string {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0 })
    .trim()
    .replace(/\[ | \]/g, (text) => text.trim());
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/** As GitHub makes anchors of titles. */
function anchor(path: string): string {
  return path.toLowerCase().replace(/[^a-z0-9-]/g, "");
}
