/** Converts what another tool wrote to a list of hosts as a spec has it. Pure. */
import type { Json } from "../../base/json.ts";
import { findingAt, pointerInto, type SpecFinding } from "../finding.ts";
import { nearestName } from "../nearest-name.ts";
import { type Keys, resolveShape, type Shapes } from "../schema/shape.ts";
import { type DataPath, formatDataPath, parseDataPath } from "./data-path.ts";
import { nameOfAddress } from "./host-name.ts";
import { type HostSource, inputLabel } from "./host-source.ts";
import { DataError, type DataNode, describeData, findData, parseData } from "./located-data.ts";

type JsonMapping = { readonly [key: string]: Json };

export type ReadHosts =
  | {
      readonly hosts: readonly Json[];
      /** Where each part of the list comes from, by its JSON pointer in the spec. */
      readonly origins: ReadonlyMap<string, string>;
    }
  | { readonly findings: readonly SpecFinding[] };

/** The hosts of `source` in `text`; `shapes` has the keys of a host. */
export function readHosts(source: HostSource, text: string, shapes: Shapes): ReadHosts {
  try {
    const list = findList(source, text);
    const read = new HostReader(source, keysOfHost(shapes), shapes);
    const hosts = (list.entries ?? []).map(({ key, node }, index) =>
      read.host(node, list.kind === "mapping" ? key : null, index),
    );
    return { hosts, origins: new Map([[source.pointer, describeData(list)], ...read.origins]) };
  } catch (error) {
    if (error instanceof SourceError) return { findings: [error.finding] };
    throw error;
  }
}

class SourceError extends Error {
  override readonly name = "SourceError";
  readonly finding: SpecFinding;

  constructor({ pointer }: HostSource, key: readonly string[], text: Omit<SpecFinding, "place">) {
    super(text.summary);
    this.finding = findingAt(["hostsFrom", ...key].reduce(pointerInto, pointer), text);
  }
}

function findList(source: HostSource, text: string): DataNode {
  const { from, input } = source;
  const label = inputLabel(input);
  const fail = (key: readonly string[], summary: string, detail: string): SourceError =>
    new SourceError(source, key, { code: "spec/bad-host-list", summary, detail });
  let top: DataNode;
  try {
    top = parseData(label, text);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw fail(
      ["file" in input ? "file" : "command"],
      `Cannot read hosts from ${label}`,
      `It has to be JSON or YAML, but ${error.message}.`,
    );
  }
  const path = pathOf(source, from.path ?? "", ["path"]);
  const { node, missing } = findData(top, path);
  if (missing !== null) throw fail(["path"], `${label} has no ${formatDataPath(path)}`, missingDetail(node, missing));
  if (node.entries === null)
    throw fail(
      ["path"],
      `${formatDataPath(path) || label} is not a list`,
      `${describeData(node)} has to be a list of hosts, or a mapping of names to hosts.`,
    );
  if (isTerraformOutput(node)) {
    const inner = formatDataPath([...path, "value"]);
    throw fail(
      ["path"],
      `${formatDataPath(path)} is an output, not a list`,
      `Terraform keeps the list below "value". Write \`path: ${inner}\`.`,
    );
  }
  return node;
}

/** An output as `terraform output -json` prints it. */
function isTerraformOutput({ entries, kind }: DataNode): boolean {
  const keys = (entries ?? []).map(({ key }) => key);
  return kind === "mapping" && ["sensitive", "type", "value"].every((key) => keys.includes(key));
}

function missingDetail(node: DataNode, missing: string): string {
  const keys = (node.entries ?? []).map(({ key }) => key);
  if (node.entries === null || keys.length === 0) return `${describeData(node)} has no keys.`;
  if (node.kind === "list") return `${describeData(node)} is a list of ${keys.length}: the first is [0].`;
  const nearest = nearestName(missing, keys);
  return `${nearest === null ? "" : `Did you mean "${nearest}"? `}${describeData(node)} has the keys ${keys.join(", ")}.`;
}

/** A mapping of the host's keys, or of the keys within one of them, to their paths in an element. */
type Fields = { readonly [key: string]: Json | undefined };

class HostReader {
  readonly origins: Map<string, string> = new Map();
  readonly #source: HostSource;
  readonly #keys: Keys;
  readonly #shapes: Shapes;

  constructor(source: HostSource, keys: Keys, shapes: Shapes) {
    this.#source = source;
    this.#keys = keys;
    this.#shapes = shapes;
  }

  /** `key`: the element's name, where the list is a mapping. */
  host(element: DataNode, key: string | null, index: number): Json {
    const at = pointerInto(this.#source.pointer, index);
    this.origins.set(at, describeData(element));
    const written = element.kind === "mapping" ? this.#keysOf(element, at) : this.#address(element, at);
    const named = key === null ? {} : { name: key };
    const { address } = written;
    // A value that is no text is reported as it is.
    const derived = typeof address === "string" && address !== "" ? { name: nameOfAddress(address) } : {};
    return { ...derived, ...named, ...written };
  }

  #address(element: DataNode, at: string): JsonMapping {
    if (element.kind === "string") {
      this.origins.set(pointerInto(at, "address"), describeData(element));
      return { address: element.value() };
    }
    throw this.#fail(
      [],
      `${describeData(element)} is not a host`,
      "Each element has to be an address, or a mapping with an address.",
    );
  }

  #keysOf(element: DataNode, at: string): JsonMapping {
    const host = this.#read({ element, keys: this.#keys, fields: this.#source.from.fields, at, path: [] });
    if (host["address"] !== undefined) return host;
    const present = (element.entries ?? []).map(({ key }) => key).join(", ") || "none";
    throw this.#fail(
      [],
      `${describeData(element)} has no "address"`,
      `It has the keys ${present}. Say which of them is the address, such as \`fields: { address: private_ip }\`.`,
    );
  }

  #read(part: {
    readonly element: DataNode;
    readonly keys: Keys;
    readonly fields: Fields;
    readonly at: string;
    readonly path: readonly string[];
  }): JsonMapping {
    const { element, keys, fields, at, path } = part;
    const read: { [key: string]: Json } = {};
    for (const [key, shape] of Object.entries(keys)) {
      const resolved = resolveShape(shape, this.#shapes);
      const field = fields[key];
      const within = { at: pointerInto(at, key), path: [...path, key] };
      if (resolved.type === "object") {
        const inner = this.#read({ element, keys: resolved.keys, fields: asFields(field), ...within });
        const own = path.length === 0 ? findData(element, [key]) : null;
        const whole = own?.missing === null ? own.node.value() : undefined;
        if (isMapping(whole)) read[key] = { ...whole, ...inner };
        else if (whole !== undefined && whole !== null) read[key] = whole;
        else if (Object.keys(inner).length > 0) read[key] = inner;
        continue;
      }
      // Within another mapping only what `fields` names is taken from the element itself.
      if (typeof field !== "string" && path.length > 0) continue;
      const value = this.#value(element, key, typeof field === "string" ? field : null, within);
      if (value !== null) read[key] = value;
    }
    return read;
  }

  /** Null where the element has no value. */
  #value(
    element: DataNode,
    key: string,
    field: string | null,
    { at, path }: { readonly at: string; readonly path: readonly string[] },
  ): Json {
    const steps = field === null ? [key] : pathOf(this.#source, field, ["fields", ...path]);
    const { node, missing } = findData(element, steps);
    if (missing !== null) {
      if (field === null) return null;
      throw this.#fail(
        ["fields", ...path],
        `${describeData(element)} has no ${formatDataPath(steps)}`,
        missingDetail(node, missing),
      );
    }
    this.origins.set(at, describeData(node));
    return node.value();
  }

  #fail(key: readonly string[], summary: string, detail: string): SourceError {
    return new SourceError(this.#source, key, { code: "spec/bad-host-list", summary, detail });
  }
}

function pathOf(source: HostSource, text: string, key: readonly string[]): DataPath {
  const path = parseDataPath(text);
  if (path !== null) return path;
  throw new SourceError(source, key, {
    code: "spec/bad-value",
    summary: `${JSON.stringify(text)} is not a path`,
    detail:
      "Write keys and indexes, such as `masters.value` or `network[0].ip`, or a JSON pointer, such as `/masters/value`.",
  });
}

function keysOfHost(shapes: Shapes): Keys {
  const host = resolveShape({ shape: "host" }, shapes);
  return host.type === "object" ? host.keys : {};
}

function asFields(value: Json | undefined): Fields {
  return isMapping(value) ? value : {};
}

function isMapping(value: Json | undefined): value is JsonMapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
