/** Gives diagnostics about settings of a spec the line and column where the spec has them. */
import { resolve } from "node:path";
import type { Diagnostic } from "../../src/base/diagnostic.ts";
import type { Json } from "../../src/base/json.ts";
import { diagnosticsFrom } from "../../src/spec/diagnostics-from.ts";
import { pointerInto } from "../../src/spec/finding.ts";
import { readSource } from "../../src/spec/read-source.ts";
import { createSourceText } from "../../src/spec/source-text.ts";
import { readYaml } from "../../src/spec/yaml-document.ts";
import type { CliContext } from "./cli-context.ts";
import type { Session } from "./session.ts";

/** Those that are about no setting, or whose file is not there any more, stay as they are. */
export function locateInSpec(
  { cwd, environment, variables }: Pick<CliContext, "cwd" | "environment" | "variables">,
  { specPath }: Pick<Session, "specPath">,
  diagnostics: readonly Diagnostic[],
): readonly Diagnostic[] {
  if (specPath === null || diagnostics.every(({ inSpec }) => inSpec === undefined)) return diagnostics;
  const source = readSource(resolve(cwd, specPath), specPath);
  if (!source.ok) return diagnostics;
  const { value, places } = readYaml(source.text, { ...environment, ...variables });
  const text = createSourceText(specPath, source.text);
  return diagnostics.map((diagnostic): Diagnostic => {
    const { inSpec, severity, code, summary, detail = "" } = diagnostic;
    if (inSpec === undefined) return diagnostic;
    const ofMachine = inSpec.machine === null ? null : machinePointer(value, inSpec.machine);
    const own = ofMachine === null ? null : pointerInto(ofMachine, inSpec.key);
    const pointer = own !== null && places.has(own) ? own : pointerInto("/spec/provider", inSpec.key);
    const place = { pointer: places.has(pointer) ? pointer : (ofMachine ?? pointer), part: "value" } as const;
    const [located] = diagnosticsFrom(severity, text, places, [{ place, code, summary, detail }]);
    return { ...diagnostic, ...located };
  });
}

/** Where the file has the machine; null if its list comes from elsewhere. */
function machinePointer(document: Json | undefined, name: string): string | null {
  for (const pointer of ["/spec/controlPlane/masters", "/spec/workers"]) {
    const keys = pointer.split("/").slice(1);
    const list = keys.reduce<Json | undefined>((at, key) => (isMapping(at) ? at[key] : undefined), document);
    const index = Array.isArray(list) ? list.findIndex((each) => isMapping(each) && each["name"] === name) : -1;
    if (index >= 0) return pointerInto(pointer, index);
  }
  return null;
}

function isMapping(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
