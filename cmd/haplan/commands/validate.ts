/** `haplan validate [SPEC]`: is the spec right? Looks at nothing but the file. */
import { resolve } from "node:path";
import { type Diagnostic, hasErrors } from "../../../src/base/diagnostic.ts";
import { loadSpec } from "../../../src/spec/load-spec.ts";
import { nearestName } from "../../../src/spec/nearest-name.ts";
import { readSource } from "../../../src/spec/read-source.ts";
import { readYaml, type YamlValue } from "../../../src/spec/yaml-document.ts";
import { chooseSpec } from "../choose-spec.ts";
import { type CliContext, type ExitCode, RefusalError } from "../cli-context.ts";
import { diagnosticsToJson } from "../views/diagnostics-view.ts";

export function runValidate(
  context: CliContext,
  specArgument: string | undefined,
  flags: { json?: boolean },
): ExitCode {
  const { terminal, reporter } = context;
  const path = chooseSpec(context, specArgument);
  const { diagnostics } = loadNamedSpec(context, path);
  if (hasErrors(diagnostics)) throw new RefusalError(diagnostics);
  if (flags.json) {
    terminal.print(JSON.stringify(diagnosticsToJson(diagnostics), null, 2));
    return 0;
  }
  reporter.warn(diagnostics);
  terminal.print(`${terminal.paint.bold(terminal.paint.green("Success!"))} The configuration is valid.`);
  return 0;
}

/** Loads the spec relative to where haplan was started, with the path in diagnostics as it was given. */
export function loadNamedSpec(context: CliContext, path: string): ReturnType<typeof loadSpec> {
  const { environment, variables } = context;
  const loaded = loadSpec(resolve(context.cwd, path), path, { ...environment, ...variables });
  const unused = Object.keys(variables).filter((name) => !loaded.variables.has(name));
  // What could not be read refers to nothing.
  if (unused.length === 0 || loaded.sourceDigest === null) return loaded;
  const diagnostics = unused.map((name) => unusedVariable(name, path, [...loaded.variables.keys()]));
  return { ...loaded, spec: null, diagnostics: [...loaded.diagnostics, ...diagnostics] };
}

/** The name of the cluster in a spec that may be wrong in everything else; null when even that cannot be read. */
export function nameInSpec({ cwd, environment, variables }: CliContext, path: string): string | null {
  const source = readSource(resolve(cwd, path));
  if (!source.ok) return null;
  const { value } = readYaml(source.text, { ...environment, ...variables });
  const metadata = isMapping(value) ? value["metadata"] : undefined;
  const name = isMapping(metadata) ? metadata["name"] : undefined;
  return typeof name === "string" ? name : null;
}

function isMapping(value: YamlValue | undefined): value is { readonly [key: string]: YamlValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unusedVariable(name: string, path: string, known: readonly string[]): Diagnostic {
  const nearest = nearestName(name, known);
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  return {
    severity: "error",
    code: "cli/unused-variable",
    summary: `${path} does not refer to the variable ${name}`,
    detail: `${hint}Remove -var ${name}=..., or write \${${name}} where its value belongs.`,
  };
}
