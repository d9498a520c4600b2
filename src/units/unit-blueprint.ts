/**
 * A unit before apply adds secrets and rendered files: its definition, its template files and the name of the
 * certificate to put under `tls/`. Equal blueprints give equal units.
 */
import { canonicalDigest } from "../base/canonical-json.ts";
import type { Json } from "../base/json.ts";
import type { UnitDefinition } from "./unit-definition.ts";

export type UnitTemplate = {
  /** Relative to the unit's directory. */
  readonly path: string;
  /** File in `templates/`. */
  readonly template: string;
  readonly values: { readonly [name: string]: Json };
  readonly mode: number;
};

export type UnitBlueprint = {
  readonly definition: UnitDefinition;
  readonly templates: readonly UnitTemplate[];
  /** Name of its certificate; null if TLS is off. */
  readonly certificate: string | null;
};

/** The `configDigest` attribute: what the spec determines of the unit, without secrets. */
export function blueprintDigest(blueprint: UnitBlueprint): string {
  return canonicalDigest({
    program: blueprint.definition.program,
    arguments: blueprint.definition.arguments,
    environment: blueprint.definition.environment,
    files: blueprint.definition.files.map((file) => ({
      path: file.path,
      mode: file.mode,
      content: typeof file.content === "string" ? file.content : Array.from(file.content),
    })),
    listens: blueprint.definition.listens,
    capabilities: blueprint.definition.capabilities,
    templates: blueprint.templates,
    certificate: blueprint.certificate,
    ...(blueprint.definition.directories === undefined ? {} : { directories: blueprint.definition.directories }),
    ...(blueprint.definition.copies === undefined ? {} : { copies: blueprint.definition.copies }),
  });
}
