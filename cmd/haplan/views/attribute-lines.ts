/**
 * The attributes of one change in Terraform's style: a symbol for each change, names padded to one width, unchanged
 * attributes only counted. Digests and process ids are shown only if nothing else changes, and digests are truncated;
 * the JSON form has them in full.
 */

import { sameJson } from "../../../src/base/canonical-json.ts";
import type { Json } from "../../../src/base/json.ts";
import type { ResourceChange } from "../../../src/plan/plan.ts";
import type { Paint } from "../paint.ts";
import { isOpaque, shownChange, shownName } from "./attribute-names.ts";

const widthMax = 80;

/** Lines of the block's body, indented, without the braces. */
export function attributeLines(planned: ResourceChange, paint: Paint): readonly string[] {
  const change = shownChange(planned);
  const before = change.before ?? {};
  const after = change.after ?? {};
  const unknown = new Set(change.after === null ? [] : change.unknownAfter);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after), ...unknown])].toSorted();
  const entries = names
    .map((name) => describe(change, name, before[name] ?? null, after[name] ?? null, unknown.has(name)))
    .filter((entry) => entry !== null);
  const changed = entries.filter(({ symbol }) => symbol !== " ");
  const readable = changed.filter((entry) => !isOpaque(entry.name));
  const shown = readable.length === 0 ? changed : readable;
  const width = Math.max(0, ...shown.map((entry) => entry.name.length));
  const unchanged = entries.filter(({ symbol }) => symbol === " ").length;
  return [
    ...shown.flatMap((entry) => entryLines(entry, width, paint)),
    ...hiddenLine(changed.length - shown.length, unchanged, paint),
  ];
}

function hiddenLine(opaque: number, unchanged: number, paint: Paint): readonly string[] {
  const parts = [
    ...(unchanged === 0 ? [] : [`${unchanged} unchanged ${unchanged === 1 ? "attribute" : "attributes"}`]),
    ...(opaque === 0 ? [] : [`${opaque} ${opaque === 1 ? "digest or process id" : "digests and process ids"}`]),
  ];
  return parts.length === 0 ? [] : [paint.dim(`        # (${parts.join(" and ")} hidden)`)];
}

type ChangeSymbol = "+" | "-" | "~" | " ";

/** The symbol in its color. */
export function paintSymbol(symbol: string, paint: Paint): string {
  if (symbol === "-/+") return `${paint.red("-")}/${paint.green("+")}`;
  if (symbol === "+/-") return `${paint.green("+")}/${paint.red("-")}`;
  return symbol === "+" ? paint.green(symbol) : symbol === "-" ? paint.red(symbol) : paint.yellow(symbol);
}

type Entry = {
  readonly symbol: ChangeSymbol;
  readonly name: string;
  /** The text after the equals sign; further lines are indented below it. */
  readonly value: readonly string[];
  readonly remark: string;
};

function describe(change: ResourceChange, name: string, before: Json, after: Json, unknown: boolean): Entry | null {
  const remark = change.forcesReplacement.includes(name) ? " # forces replacement" : "";
  const secret = change.sensitive.includes(name);
  const show = (value: Json, symbol: ChangeSymbol): readonly string[] =>
    secret ? ["(sensitive value)"] : valueLines(value, symbol);
  if (unknown) {
    if (before === null)
      return { symbol: "+", name, value: [secret ? "(sensitive value)" : "(known after apply)"], remark };
    return { symbol: "~", name, value: arrow(show(before, "~"), ["(known after apply)"]), remark };
  }
  if (before === null && after === null) return null;
  if (before === null) return { symbol: "+", name, value: show(after, "+"), remark };
  if (after === null) return { symbol: "-", name, value: arrow(show(before, "-"), ["null"]), remark };
  if (JSON.stringify(before) === JSON.stringify(after)) return { symbol: " ", name, value: [], remark };
  if (secret) return { symbol: "~", name, value: ["(sensitive value)"], remark };
  if (Array.isArray(before) && Array.isArray(after))
    return { symbol: "~", name, value: listChange(before, after), remark };
  if (isMapping(before) && isMapping(after)) return { symbol: "~", name, value: mappingChange(before, after), remark };
  return { symbol: "~", name, value: arrow([scalar(before)], [scalar(after)]), remark };
}

function entryLines(entry: Entry, width: number, paint: Paint): readonly string[] {
  const lead = `${entry.name.padEnd(width)} = `;
  const [first, ...more] = entry.value;
  const lines = [`${lead}${first ?? ""}`, ...more];
  const last = lines.length - 1;
  return lines.map((line, index) => {
    const text = `${line}${index === last ? paint.red(entry.remark) : ""}`;
    if (index > 0) return `        ${paintElement(text, paint)}`;
    const arrowAt = line.indexOf(" -> ");
    if (line.length + 8 <= widthMax || arrowAt === -1) return `      ${paintSymbol(entry.symbol, paint)} ${text}`;
    const [left, right] = [text.slice(0, arrowAt), text.slice(arrowAt + 1)];
    return `      ${paintSymbol(entry.symbol, paint)} ${left}\n          ${right}`;
  });
}

/** Elements of a list or a mapping have a symbol of their own, after two spaces. */
function paintElement(line: string, paint: Paint): string {
  const element = /^ {2}([-+~]) (.*)$/s.exec(line);
  return element === null ? line : `  ${paintSymbol(element[1] ?? "", paint)} ${element[2]}`;
}

function valueLines(value: Json, symbol: ChangeSymbol): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) return [scalar(value)];
  return ["[", ...value.map((item: Json) => `  ${symbol} ${scalar(item)},`), "]"];
}

function listChange(before: readonly Json[], after: readonly Json[]): readonly string[] {
  const text = (list: readonly Json[]): readonly string[] => list.map(scalar);
  const [old, fresh] = [text(before), text(after)];
  const gone = old.filter((item) => !fresh.includes(item));
  const added = fresh.filter((item) => !old.includes(item));
  const kept = old.length - gone.length;
  return [
    "[",
    ...gone.map((item) => `  - ${item},`),
    ...added.map((item) => `  + ${item},`),
    ...(kept > 0 ? [`    # (${kept} unchanged ${kept === 1 ? "element" : "elements"} hidden)`] : []),
    "]",
  ];
}

type Mapping = { readonly [name: string]: Json };

function isMapping(value: Json): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mappingChange(before: Mapping, after: Mapping): readonly string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  const differing = names.filter((name) => !sameJson(before[name] ?? null, after[name] ?? null));
  const kept = names.length - differing.length;
  return [
    "{",
    ...differing.map((name) => `  ${entryChange(shownName(name), before[name] ?? null, after[name] ?? null)},`),
    ...(kept > 0 ? [`    # (${kept} unchanged ${kept === 1 ? "entry" : "entries"} hidden)`] : []),
    "}",
  ];
}

function entryChange(name: string, before: Json, after: Json): string {
  if (before === null) return `+ ${name} = ${scalar(after)}`;
  if (after === null) return `- ${name} = ${scalar(before)}`;
  return `~ ${name} = ${scalar(before)} -> ${scalar(after)}`;
}

function arrow(left: readonly string[], right: readonly string[]): readonly string[] {
  return [...left.slice(0, -1), `${left.at(-1) ?? ""} -> ${right[0] ?? ""}`];
}

function scalar(value: Json): string {
  if (typeof value === "string" && /^[0-9a-f]{64}$/.test(value)) return `"${value.slice(0, 12)}..."`;
  return JSON.stringify(value);
}
