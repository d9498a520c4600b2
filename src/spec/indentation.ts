/** Finds the line with the wrong indentation, which is often not the line at which a parser stops. */
import type { YamlLine } from "./yaml-line.ts";

export type Misfit = {
  readonly line: YamlLine;
  /** The indentation of its neighbors. */
  readonly expected: number;
  /** A neighbor with that indentation. */
  readonly like: YamlLine;
};

/** Lines of one mapping or list: all of them start at the same column. */
type Block = { readonly indent: number; readonly kind: "item" | "key"; readonly first: YamlLine };

/** @param lastLine the number of the line that the parser rejected */
export function findMisfit(lines: readonly YamlLine[], lastLine: number): Misfit | null {
  const blocks: Block[] = [];
  let previous: YamlLine | null = null;
  for (const line of lines) {
    if (line.number > lastLine) return null;
    // Continuations of a text or a flow collection have no indentation of their own.
    if (!line.isItem && line.key === null) continue;
    const kind = line.isItem ? "item" : "key";
    const left: Block[] = [];
    while (belongsFurtherOut(blocks.at(-1), line.indent, kind)) left.push(blocks.pop() as Block);
    if (previous !== null) {
      const misfit = misfitOf({ lines, line, previous, blocks, left: left.at(-1) });
      if (misfit !== null) return misfit;
    }
    if (blocks.at(-1)?.indent !== line.indent || blocks.at(-1)?.kind !== kind)
      blocks.push({ indent: line.indent, kind, first: line });
    if (line.isItem && line.key !== null) blocks.push({ indent: line.innerIndent, kind: "key", first: line });
    previous = line;
  }
  return null;
}

function belongsFurtherOut(block: Block | undefined, indent: number, kind: Block["kind"]): boolean {
  if (block === undefined) return false;
  return block.indent > indent || (block.indent === indent && block.kind === "item" && kind === "key");
}

type Place = {
  /** All lines of the file. */
  readonly lines: readonly YamlLine[];
  readonly line: YamlLine;
  readonly previous: YamlLine;
  /** The blocks that are open around the line, the innermost last. */
  readonly blocks: readonly Block[];
  /** The outermost of the blocks that do not contain the line. */
  readonly left: Block | undefined;
};

function misfitOf(place: Place): Misfit | null {
  const { line, previous, blocks, left } = place;
  const around = blocks.at(-1);
  if (around !== undefined && around.indent === line.indent) {
    // A list may start in the column of its key, but not below a key that has a value.
    if (around.kind === "item" || !line.isItem || (previous.value === "" && previous.indent === line.indent))
      return null;
    return { line, expected: around.indent - (around.first.isItem ? 2 : 0), like: around.first };
  }
  if (left === undefined && previous.value === "") return null;
  const outvoted = outvotedItem(place) ?? outvotedBlock(place, around, 2) ?? outvotedBlock(place, left, 1);
  if (outvoted !== null) return outvoted;
  if (line.isItem && around?.kind === "item") return { line, expected: around.indent, like: around.first };
  if (left !== undefined) return { line, expected: left.indent, like: left.first };
  // Deeper than a line that already has a value.
  return { line, expected: previous.innerIndent, like: previous };
}

/** `- name: m1` at another column than the following items, so that the key below it seems to be wrong. */
function outvotedItem({ lines, line, blocks, left }: Place): Misfit | null {
  const item = (left ?? blocks.at(-1))?.first;
  if (line.isItem || item === undefined || !item.isItem) return null;
  const others = within(lines, item, blocks.at(left === undefined ? -3 : -2)).filter(({ isItem }) => isItem);
  const like = others.find(({ indent }) => indent === line.indent - 2);
  const sameAsItem = others.filter(({ indent }) => indent === item.indent).length;
  return like === undefined || sameAsItem > 1 ? null : { line: item, expected: like.indent, like };
}

/** The first line of a block at another column than most of the following lines. */
function outvotedBlock({ lines, line, blocks }: Place, block: Block | undefined, outwards: 1 | 2): Misfit | null {
  if (line.isItem || block === undefined || block.first.isItem) return null;
  const inside = within(lines, block.first, blocks.at(-outwards)).filter(({ key, isItem }) => key !== null && !isItem);
  const count = (indent: number) => inside.filter((each) => each.indent === indent).length;
  // A block with more than one line is a real block.
  const entries = inside.filter((each) => each.indent === block.indent && each.number < line.number).length;
  return entries === 1 && count(line.indent) > count(block.indent)
    ? { line: block.first, expected: line.indent, like: line }
    : null;
}

/** The lines from `first` on that are deeper than `outer`. */
function within(lines: readonly YamlLine[], first: YamlLine, outer: Block | undefined): readonly YamlLine[] {
  const from = lines.slice(lines.indexOf(first));
  const end = from.findIndex(({ indent }) => indent <= (outer?.indent ?? -1));
  return end === -1 ? from : from.slice(0, end);
}
