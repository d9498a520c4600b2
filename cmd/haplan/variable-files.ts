/** Files given with `-var-file`: YAML or JSON, one value for each name. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse, YAMLParseError } from "yaml";
import { errorText } from "../../src/base/haplan-error.ts";
import type { Environment } from "../../src/state/sealed-text.ts";
import { refuse } from "./refusal.ts";

/** Later files override earlier ones. @throws RefusalError */
export function readVariableFiles(cwd: string, paths: readonly string[]): Environment {
  return Object.assign({}, ...paths.map((path) => readVariableFile(cwd, path)));
}

function readVariableFile(cwd: string, path: string): Environment {
  let content: unknown;
  try {
    content = parse(readFileSync(resolve(cwd, path), "utf8"));
  } catch (error) {
    // The parser's message ends with an excerpt of the text.
    const [reason] = errorText(error).split("\n");
    if (error instanceof YAMLParseError) throw badFile(path, `It is not YAML: ${reason}`);
    throw refuse("cli/bad-variable-file", `Cannot read ${path}, given with -var-file`, `${reason}.`);
  }
  if (content === null) return {};
  if (typeof content !== "object" || Array.isArray(content))
    throw badFile(path, "Write one NAME: VALUE per line, as YAML; NAME = VALUE is not supported.");
  return Object.fromEntries(
    Object.entries(content).map(([name, value]) => {
      if (!/^[A-Za-z_]\w*$/.test(name)) throw badFile(path, `"${name}" is not a valid variable name.`);
      if (typeof value === "object") throw badFile(path, `${name} is neither a string nor a number nor true or false.`);
      return [name, String(value)];
    }),
  );
}

function badFile(path: string, detail: string): Error {
  return refuse("cli/bad-variable-file", `${path}, given with -var-file, contains no variables`, detail);
}
