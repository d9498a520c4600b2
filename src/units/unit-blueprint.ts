/**
 * A unit before apply has added what is secret or needs a disk: its definition, the template files still to be
 * rendered and the certificate whose files it wants under `tls/`. Equal blueprints make equal units.
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
  /** Name of the certificate it carries; null when TLS is off. */
  readonly certificate: string | null;
};

/** The `configDigest` attribute: what the spec makes of the unit, without secrets. */
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
    templates: blueprint.templates,
    certificate: blueprint.certificate,
  });
}
