/** The imports of the sources, by room, and what docs/ARCHITECTURE.md lets each room know. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

export const root: string = fileURLToPath(new URL("../..", import.meta.url));

export type Source = { readonly path: string; readonly text: string };

/** All sources below these directories. Paths are relative to the root. */
export function sourcesBelow(...directories: readonly string[]): Source[] {
  return directories.flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => ({ path: join(top, path), text: readFileSync(join(root, top, path), "utf8") })),
  );
}

/** Only tests may import these: tests, the doubles of a port, and what builds values for tests. */
export const testOnly: RegExp = /\.(test|fake|fixture)\.ts$|^(test|bench)\//;

/** Everything that ships. */
export function productSources(): Source[] {
  return sourcesBelow("src", "cmd").filter(({ path }) => !testOnly.test(path));
}

export type Import = { readonly from: string; readonly to: string; readonly typesOnly: boolean };

const importStatement = /^(?:import|export)\s+(type\s+)?(?:\{([^}]*)\}|[\w*][^"{]*)?\s*(?:from\s+)?"(\.[^"]+)"/gm;
const importCall = /\bimport\("(\.[^"]+)"\)/g;

/** Relative imports of a source. */
export function importsOf({ path, text }: Source): Import[] {
  const target = (name: string): string => normalize(join(dirname(path), name));
  const statements = [...text.matchAll(importStatement)].map(([, type, names, name]) => ({
    from: path,
    to: target(name!),
    typesOnly: type !== undefined || (names !== undefined && areTypes(names)),
  }));
  const calls = [...text.matchAll(importCall)].map(([, name]) => ({ from: path, to: target(name!), typesOnly: false }));
  return [...statements, ...calls];
}

function areTypes(names: string): boolean {
  const list = names.split(",").map((name) => name.trim());
  return list.filter((name) => name !== "").every((name) => name.startsWith("type "));
}

/** The room that a file is in: `plan`, `raft`; null for what is in none. */
export function roomOf(path: string): string | null {
  const [top, room, inner, file] = path.split("/");
  if (top === "cmd") return "cmd";
  if (top !== "src" || room === undefined || inner === undefined) return null;
  if (room !== "raft-agent") return room;
  return file === undefined ? null : inner;
}

export type Knowledge = {
  readonly everything: boolean;
  readonly rooms: readonly string[];
  readonly types: readonly string[];
};

/** The table of rooms: `base, plan; types of spec`. @throws Error for a cell that says something else */
export function readKnowledge(page: string): Map<string, Knowledge> {
  const table = page.slice(page.indexOf("## Rooms"));
  const rows = [...table.matchAll(/^\| `([^`]+)` \| .* \| ([^|]+) \|$/gm)];
  return new Map(rows.map(([, path, cell]) => [nameOf(path!), readCell(cell!.trim())]));
}

function nameOf(path: string): string {
  return path === "cmd/*" ? "cmd" : path.replace(/^src\/(raft-agent\/)?/, "");
}

function readCell(cell: string): Knowledge {
  if (cell === "everything") return { everything: true, rooms: [], types: [] };
  if (cell === "nothing") return { everything: false, rooms: [], types: [] };
  const [rooms = "", types = "", ...rest] = cell.split("; types of ");
  if (rest.length > 0) throw new Error(`the cell "${cell}" names types twice`);
  return { everything: false, rooms: list(rooms), types: list(types) };
}

function list(text: string): string[] {
  return text === "" ? [] : text.split(", ");
}

/** Imports that the table does not allow, in words. */
export function forbiddenImports(sources: readonly Source[], known: ReadonlyMap<string, Knowledge>): string[] {
  return sources.flatMap(importsOf).flatMap((found) => {
    const [from, to] = [roomOf(found.from), roomOf(found.to)];
    if (from === to && from !== null) return [];
    const knowledge = from === null ? undefined : known.get(from);
    if (knowledge === undefined) return [`${found.from} is in no room of the table`];
    const isAllowed =
      knowledge.everything ||
      (to !== null && (knowledge.rooms.includes(to) || (found.typesOnly && knowledge.types.includes(to))));
    return isAllowed ? [] : [`${found.from} imports ${found.to}`];
  });
}
