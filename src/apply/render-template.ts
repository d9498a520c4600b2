/** Templates of files that other programs read, rendered strictly: a value that is missing is an error, not a blank. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Handlebars from "handlebars";
import type { Json } from "../base/json.ts";

/** `templates/` of this installation, whether this file runs from `dist` or from the sources. */
function templatesFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  return join(folder, "templates");
}

/** Renders `templates/<name>`; nothing is escaped as HTML. */
export function renderTemplate(name: string, values: { readonly [name: string]: Json }): string {
  const text = readFileSync(join(templatesFolder(), name), "utf8");
  return Handlebars.compile(text, { strict: true, noEscape: true })(values);
}
