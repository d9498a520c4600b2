/** Reads the imports of the sources, and the imports that docs/ARCHITECTURE.md allows each module. */
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

/** The relative imports of a source. */
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

/** The module of a file: `plan`, `raft`; null if it is in none. */
export function moduleOf(path: string): string | null {
  const [top, module, inner, file] = path.split("/");
  if (top === "cmd") return "cmd";
  if (top !== "src" || module === undefined || inner === undefined) return null;
  if (module !== "raft-agent") return module;
  return file === undefined ? null : inner;
}

export type AllowedImports = {
  readonly everything: boolean;
  readonly modules: readonly string[];
  readonly types: readonly string[];
};

/** Parses the table of modules: `base, plan; types of spec`. @throws Error for a malformed cell */
export function readImportTable(page: string): Map<string, AllowedImports> {
  const table = page.slice(page.indexOf("## Modules"));
  const rows = [...table.matchAll(/^\| `([^`]+)` \| .* \| ([^|]+) \|$/gm)];
  return new Map(rows.map(([, path, cell]) => [nameOf(path!), readCell(cell!.trim())]));
}

function nameOf(path: string): string {
  return path === "cmd/*" ? "cmd" : path.replace(/^src\/(raft-agent\/)?/, "");
}

function readCell(cell: string): AllowedImports {
  if (cell === "everything") return { everything: true, modules: [], types: [] };
  if (cell === "nothing") return { everything: false, modules: [], types: [] };
  const [modules = "", types = "", ...rest] = cell.split("; types of ");
  if (rest.length > 0) throw new Error(`the cell "${cell}" names types twice`);
  return { everything: false, modules: list(modules), types: list(types) };
}

function list(text: string): string[] {
  return text === "" ? [] : text.split(", ");
}

/** Describes each import that the table does not allow. */
export function forbiddenImports(sources: readonly Source[], known: ReadonlyMap<string, AllowedImports>): string[] {
  return sources.flatMap(importsOf).flatMap((found) => {
    const [from, to] = [moduleOf(found.from), moduleOf(found.to)];
    if (from === to && from !== null) return [];
    const allowed = from === null ? undefined : known.get(from);
    if (allowed === undefined) return [`${found.from} is in no module of the table`];
    const isAllowed =
      allowed.everything ||
      (to !== null && (allowed.modules.includes(to) || (found.typesOnly && allowed.types.includes(to))));
    return isAllowed ? [] : [`${found.from} imports ${found.to}`];
  });
}
