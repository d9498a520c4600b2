/** Templates of files that other programs read, rendered strictly: a value that is missing is an error, not a blank. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Handlebars from "handlebars";
import type { Json } from "../base/json.ts";

/** `templates/` of this installation, whether this file runs from `dist` or from the sources. */
function templatesDir(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json")) && dirname(directory) !== directory)
    directory = dirname(directory);
  return join(directory, "templates");
}

/** Renders `templates/<name>`; nothing is escaped as HTML. */
export function renderTemplate(name: string, values: { readonly [name: string]: Json }): string {
  const text = readFileSync(join(templatesDir(), name), "utf8");
  return Handlebars.compile(text, { strict: true, noEscape: true })(values);
}
