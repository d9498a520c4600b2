/** From blueprint to what a provider runs: certificates and rendered templates are added as files, keys private. */

import type { UnitBlueprint } from "../units/unit-blueprint.ts";
import { tlsPaths, type UnitDefinition, type UnitFile } from "../units/unit-definition.ts";
import type { Authority } from "./ports.ts";
import { renderTemplate } from "./render-template.ts";

export async function materializeUnit(blueprint: UnitBlueprint, authority: Authority): Promise<UnitDefinition> {
  const secrets = blueprint.certificate === null ? [] : await tlsFiles(authority, blueprint.certificate);
  const rendered = blueprint.templates.map((template) => ({
    path: template.path,
    content: renderTemplate(template.template, template.values),
    mode: template.mode,
  }));
  return { ...blueprint.definition, files: [...blueprint.definition.files, ...rendered, ...secrets] };
}

async function tlsFiles(authority: Authority, name: string): Promise<readonly UnitFile[]> {
  const { caPem, certificatePem, keyPem } = await authority.material(name);
  return [
    { path: tlsPaths.authority, content: caPem, mode: 0o644 },
    { path: tlsPaths.certificate, content: certificatePem, mode: 0o644 },
    { path: tlsPaths.key, content: keyPem, mode: 0o600 },
    { path: tlsPaths.bundle, content: `${certificatePem.trimEnd()}\n${keyPem}`, mode: 0o600 },
  ];
}
