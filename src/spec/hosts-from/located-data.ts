/** JSON (or YAML, which contains it) with the position of every value, for errors about what another tool wrote. */
import { isAlias, isMap, isScalar, isSeq, type Node, type ParsedNode, parseDocument } from "yaml";
import type { Json } from "../../base/json.ts";
import { JsonError, parseJson } from "../../base/json-text.ts";
import { createSourceText, rangeBetween, type SourceText } from "../source-text.ts";
import { type DataPath, formatDataPath } from "./data-path.ts";

/** A value within a document of another tool. */
export type DataNode = {
  readonly path: DataPath;
  /** `terraform-output.json, line 3, column 5`. */
  readonly place: string;
  /** The entries of a list or of a mapping, in their order; null for anything else. */
  readonly entries: readonly { readonly key: string; readonly node: DataNode }[] | null;
  readonly kind: "list" | "mapping" | "string" | "other";
  readonly value: () => Json;
};

export class DataError extends Error {
  override readonly name = "DataError";
}

/** The document in `text`, which messages call `label`. @throws DataError whose message completes a sentence */
export function parseData(label: string, text: string): DataNode {
  const options = { uniqueKeys: false, prettyErrors: false, strict: true, merge: false } as const;
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, options);
  } catch (error) {
    // A text that is nested too deeply for the parser.
    if (error instanceof RangeError) throw new DataError("it is nested too deeply", { cause: error });
    throw error;
  }
  const source = createSourceText(label, text);
  const [failure] = document.errors;
  if (failure !== undefined) throw new DataError(reasonOf(source, failure.pos[0]));
  if (document.contents === null) throw new DataError("it is empty");
  return dataNode({ source, document }, [], document.contents as ParsedNode);
}

type Origin = { readonly source: SourceText; readonly document: ReturnType<typeof parseDocument> };

/** What other tools print is JSON: its own error is the better one, unless the text is valid JSON or was meant as YAML. */
function reasonOf(source: SourceText, offset: number): string {
  const { start } = rangeBetween(source, offset, offset);
  try {
    parseJson(source.text);
  } catch (error) {
    if (error instanceof JsonError && /^\s*[[{]/.test(source.text)) return error.message;
  }
  return `it is neither JSON nor YAML at line ${start.line}, column ${start.column}`;
}

function dataNode(origin: Origin, path: DataPath, written: Node | null): DataNode {
  const node = isAlias(written) ? (written.resolve(origin.document) ?? null) : written;
  const { source, document } = origin;
  const offset = written?.range?.[0] ?? 0;
  const { start } = rangeBetween(source, offset, offset);
  const within = (key: string, value: Node | null): { readonly key: string; readonly node: DataNode } => ({
    key,
    get node() {
      return dataNode(origin, [...path, key], value);
    },
  });
  return {
    path,
    place: `${source.filename}, line ${start.line}, column ${start.column}`,
    entries: isMap(node)
      ? node.items.map(({ key, value }) => within(keyText(key as Node), value as Node | null))
      : isSeq(node)
        ? node.items.map((item, index) => within(String(index), item as Node | null))
        : null,
    kind: kindOf(node),
    value: () => (node === null ? null : (node.toJS(document) as Json)),
  };
}

function kindOf(node: Node | null): DataNode["kind"] {
  if (isMap(node)) return "mapping";
  if (isSeq(node)) return "list";
  return isScalar(node) && typeof node.value === "string" ? "string" : "other";
}

function keyText(key: Node): string {
  return isScalar(key) ? String(key.value) : "";
}

/** Where a path ends: at a value, or at the last value on the way that exists. */
export type FoundData =
  | { readonly node: DataNode; readonly missing: null }
  | { readonly node: DataNode; readonly missing: string };

export function findData(from: DataNode, path: DataPath): FoundData {
  let node = from;
  for (const key of path) {
    // The last of two equal keys counts, as in JSON.parse.
    const found = node.entries?.findLast((entry) => entry.key === key);
    if (found === undefined) return { node, missing: key };
    node = found.node;
  }
  return { node, missing: null };
}

/** A value as messages name it: `masters.value[1] (terraform-output.json, line 3, column 5)`. */
export function describeData({ path, place }: DataNode): string {
  return path.length === 0 ? `The top of ${place}` : `${formatDataPath(path)} (${place})`;
}
