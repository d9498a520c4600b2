/**
 * Parses the YAML of `--config-file` like etcd's library: YAML 1.1, in which `yes` and `off` are booleans and 010 is
 * 8.
 */
import { isMap, isScalar, isSeq, type Node, parseDocument, visit } from "yaml";
import type { FlagKind } from "./flags.ts";

export type FileEntry = { readonly key: string; readonly value: Node | null };

/**
 * The entries of the file, or what is wrong with it. An empty file has none, and of duplicate keys the last one
 * counts, as in etcd.
 */
export function parseConfigFile(text: string): readonly FileEntry[] | { readonly problem: string } {
  const document = parseDocument(text, { version: "1.1", intAsBigInt: true, uniqueKeys: false });
  const [problem] = document.errors;
  if (problem !== undefined) return { problem: problem.message };
  visit(document, { Alias: (_, alias) => alias.resolve(document) });
  return mapEntries(document.contents) ?? { problem: 'expected keys such as "name:" and "data-dir:"' };
}

/** Null when it is not a map; an empty node is a map without entries. */
export function mapEntries(node: Node | null): readonly FileEntry[] | null {
  if (node === null || (isScalar(node) && node.value === null)) return [];
  if (!isMap(node)) return null;
  return node.items.map(({ key, value }) => ({ key: keyText(String(key)), value: (value ?? null) as Node | null }));
}

/** Go's JSON ignores the case of names. */
function keyText(key: string): string {
  return key.toLowerCase();
}

/** The text that a flag of that kind would get; null for the default. */
export function textInFile(kind: FlagKind, node: Node | null): string | null | { readonly expected: string } {
  if (node === null || (isScalar(node) && node.value === null)) return null;
  if (isScalar(node)) return scalarText(kind, node.value, node.source);
  const isList = kind === "list" || kind === "urls";
  if (!isSeq(node) || !isList)
    return { expected: isList ? "a list of strings, or a comma-separated string" : "a single value" };
  const texts = (node.items as Node[]).map((item) =>
    isScalar(item) ? scalarText(kind, item.value, item.source) : null,
  );
  return texts.includes(null) ? { expected: "a list of strings" } : texts.join();
}

/** Text is taken as written, even where YAML parses a number or a boolean. */
function scalarText(kind: FlagKind, value: unknown, source: string | undefined): string {
  if (typeof value === "string") return value;
  if (kind === "string" || kind === "list" || kind === "urls") return source ?? String(value);
  // In etcd's file a duration is an integer of nanoseconds.
  return kind === "duration" && (typeof value === "bigint" || Number.isInteger(value)) ? `${value}ns` : String(value);
}
