/** `haplan validate [SPEC]`: validates the spec. Reads only the file. */
import { dirname, resolve } from "node:path";
import type { Diagnostic } from "../../../src/base/diagnostic.ts";
import type { Json } from "../../../src/base/json.ts";
import { specReader } from "../../../src/providers/spec-reader.ts";
import { fetchHosts } from "../../../src/spec/hosts-from/fetch-hosts.ts";
import { inputLabel } from "../../../src/spec/hosts-from/host-source.ts";
import { nearestName } from "../../../src/spec/nearest-name.ts";
import { readSource } from "../../../src/spec/read-source.ts";
import type { LoadedSpec } from "../../../src/spec/spec-reader.ts";
import { readYaml } from "../../../src/spec/yaml-document.ts";
import { chooseSpec } from "../choose-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { RefusalError } from "../refusal.ts";
import { readSpecSource, specLabel, standardInput } from "../spec-source.ts";
import { diagnosticsToJson } from "../views/diagnostics-view.ts";

export async function runValidate(
  context: CliContext,
  specArgument: string | undefined,
  flags: { json?: boolean },
): Promise<ExitCode> {
  const { terminal, reporter } = context;
  const path = chooseSpec(context, specArgument);
  const { diagnostics, warnings } = await loadSpecAt(context, path);
  if (diagnostics.length > 0) throw new RefusalError(diagnostics);
  reporter.warn(warnings);
  if (flags.json) {
    terminal.print(JSON.stringify(diagnosticsToJson(warnings), null, 2));
    return 0;
  }
  terminal.print(`${terminal.paint.bold(terminal.paint.green("Success!"))} The configuration is valid.`);
  return 0;
}

/** Loads the spec relative to haplan's working directory; diagnostics show the path as it was given. */
export async function loadSpecAt(context: CliContext, path: string): Promise<LoadedSpec> {
  const { environment, variables } = context;
  const source = await readSpecSource(context, path);
  const values = { ...environment, ...variables };
  const directory = path === standardInput ? context.cwd : dirname(resolve(context.cwd, path));
  const inputs = specReader.hostInputs(source, values);
  for (const input of inputs) context.log.write("info", "hosts of another tool", { from: inputLabel(input) });
  const texts = await fetchHosts(inputs, { directory, signal: context.stop.signal });
  const loaded = specReader.loadSource(source, specLabel(path), values, texts);
  const known = loaded.variables;
  // The variables of an unreadable spec are unknown.
  const unused = known === null ? [] : Object.keys(variables).filter((name) => !known.has(name));
  if (known === null || unused.length === 0) return loaded;
  const diagnostics = unused.map((name) => unusedVariable(name, specLabel(path), [...known.keys()]));
  return { ...loaded, spec: null, diagnostics: [...loaded.diagnostics, ...diagnostics] };
}

/** The name of the cluster in a spec that may have any other mistake; null if the name cannot be read either. */
export function nameInSpec({ cwd, environment, variables }: CliContext, path: string): string | null {
  if (path === standardInput) return null;
  const source = readSource(resolve(cwd, path));
  if (!source.ok) return null;
  const { value } = readYaml(source.text, { ...environment, ...variables });
  const metadata = isMapping(value) ? value["metadata"] : undefined;
  const name = isMapping(metadata) ? metadata["name"] : undefined;
  return typeof name === "string" ? name : null;
}

function isMapping(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unusedVariable(name: string, path: string, known: readonly string[]): Diagnostic {
  const nearest = nearestName(name, known);
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  return {
    severity: "error",
    code: "cli/unused-variable",
    summary: `${path} does not use the variable ${name}`,
    detail: `${hint}Remove -var ${name}=..., or write \${${name}} where the value belongs.`,
  };
}
