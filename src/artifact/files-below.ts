import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** Paths relative to `directory`. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const prefix = directory.length + 1;
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(prefix));
}
