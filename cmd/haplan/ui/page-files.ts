/** The files of the page: plain HTML, CSS and JavaScript in the package's directory `ui`. */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { packageDir } from "../../../src/base/package-dir.ts";

export type PageFile = { readonly contentType: string; readonly body: Buffer };

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** By path below the token; the empty path is the page. No request ever names a path of this machine. */
export function readPageFiles(): ReadonlyMap<string, PageFile> {
  const directory = join(packageDir(), "ui");
  const files = readdirSync(directory).flatMap((name) => {
    const contentType = contentTypes[extname(name)];
    if (contentType === undefined) return [];
    return [[name === "index.html" ? "" : name, { contentType, body: readFileSync(join(directory, name)) }] as const];
  });
  return new Map(files);
}
