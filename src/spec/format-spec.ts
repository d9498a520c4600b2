/**
 * Formats a spec's text: indented by two spaces, single spaces between values, comments kept in place, values as
 * written. The meaning must not change, and that is verified.
 */
import { CST, type Document, isCollection, isScalar, Parser, parseDocument, visit } from "yaml";
import { canonicalJson } from "../base/canonical-json.ts";
import { readYaml } from "./yaml-document.ts";

/** Null for a text that is not a YAML document; `validate` reports why. */
export function formatSpec(text: string): string | null {
  const before = readYaml(text, everyVariable, { keepExtensions: true });
  if (before.value === undefined || before.value === null) return null;
  const document = parseDocument(text, { uniqueKeys: false, strict: true, keepSourceTokens: true });
  markCommentsBehindKeys(document);
  const printed = document.toString({ indent: 2, lineWidth: 0, flowCollectionPadding: true, indentSeq: true });
  const formatted = tightenLists(printed.replaceAll(behindKey, " #"));
  const after = readYaml(formatted, everyVariable, { keepExtensions: true });
  // A text whose meaning would change is left unchanged.
  if (canonicalJson(after.value ?? null) !== canonicalJson(before.value)) return text;
  return formatted;
}

/** The printer puts a comment that follows `key:` on a line of its own; the mark lets it be moved back. */
const mark = "\u0001";
const behindKey = new RegExp(`\\n *#${mark}`, "g");

function markCommentsBehindKeys(document: Document.Parsed): void {
  visit(document, {
    Pair: (_, { key, value, srcToken }) => {
      if (!isScalar(key) || !isCollection(value) || !value.commentBefore) return;
      const separator = srcToken?.sep ?? [];
      const lineEnd = separator.findIndex(({ type }) => type === "newline");
      const comment = separator.findIndex(({ type }) => type === "comment");
      if (comment === -1 || (lineEnd !== -1 && lineEnd < comment)) return;
      value.commentBefore = `${mark}${value.commentBefore}`;
    },
  });
}

/** Prints `[ 1, 2 ]` as `[1, 2]`; mappings keep their spaces: `{ a: 1 }`. */
function tightenLists(text: string): string {
  const tokens = [...new Parser().parse(text)];
  const tighten = (value: CST.Token | null | undefined): void => {
    if (value?.type !== "flow-collection" || value.start.source !== "[") return;
    const [first] = value.items;
    if (first?.start[0]?.type === "space") first.start.shift();
    // A space before the bracket belongs to the last value.
    const last = value.items.at(-1)?.value;
    if (last && "end" in last && last.end?.at(-1)?.type === "space") last.end.pop();
  };
  for (const token of tokens) if (token.type === "document") CST.visit(token, ({ value }) => tighten(value));
  return tokens.map((token) => CST.stringify(token)).join("");
}

/** References to variables are ordinary values here: each stands for a text of its own. */
const everyVariable: Record<string, string> = new Proxy(
  {},
  {
    get: (_, name) => `value of ${String(name)}`,
    has: () => true,
    getOwnPropertyDescriptor: (_, name) => ({
      value: `value of ${String(name)}`,
      configurable: true,
      enumerable: true,
      writable: true,
    }),
  },
);
