/** Renders templates of other programs' files, strictly: a missing value is an error, not a blank. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Handlebars from "handlebars";
import type { Json } from "./json.ts";
import { packageDir } from "./package-dir.ts";

/** Renders `templates/<name>`; nothing is escaped as HTML. */
export function renderTemplate(name: string, values: { readonly [name: string]: Json }): string {
  const text = readFileSync(join(packageDir(), "templates", name), "utf8");
  return Handlebars.compile(text, { strict: true, noEscape: true })(values);
}
