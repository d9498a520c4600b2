/** Completes a blueprint for a provider: adds certificates and rendered templates as files, keys private. */

import type { Authority } from "../pki/authority-port.ts";
import type { TlsMaterial } from "../pki/tls-material.ts";
import type { UnitBlueprint } from "../units/unit-blueprint.ts";
import { peerTlsPaths, tlsPaths, type UnitDefinition, type UnitFile } from "../units/unit-definition.ts";

export async function materializeUnit(blueprint: UnitBlueprint, authority: Authority): Promise<UnitDefinition> {
  const secrets = blueprint.certificate === null ? [] : await tlsFiles(authority, blueprint.certificate);
  const rendered = blueprint.templates.length === 0 ? [] : await templateFiles(blueprint.templates);
  return { ...blueprint.definition, files: [...blueprint.definition.files, ...rendered, ...secrets] };
}

/** The template engine is loaded by the few units that have templates. */
async function templateFiles(templates: UnitBlueprint["templates"]): Promise<readonly UnitFile[]> {
  const { renderTemplate } = await import("../base/render-template.ts");
  return templates.map(({ path, template, values, mode }) => ({
    path,
    content: renderTemplate(template, values),
    mode,
  }));
}

async function tlsFiles(authority: Authority, name: string): Promise<readonly UnitFile[]> {
  const { caPem, certificatePem, keyPem, peer } = await authority.material(name);
  return [
    { path: tlsPaths.authority, content: caPem, mode: 0o644 },
    { path: tlsPaths.certificate, content: certificatePem, mode: 0o644 },
    { path: tlsPaths.key, content: keyPem, mode: 0o600 },
    { path: tlsPaths.bundle, content: `${certificatePem.trimEnd()}\n${keyPem}`, mode: 0o600 },
    ...(peer === undefined ? [] : peerFiles(peer)),
  ];
}

function peerFiles({ caPem, certificatePem, keyPem }: TlsMaterial): readonly UnitFile[] {
  return [
    { path: peerTlsPaths.authority, content: caPem, mode: 0o644 },
    { path: peerTlsPaths.certificate, content: certificatePem, mode: 0o644 },
    { path: peerTlsPaths.key, content: keyPem, mode: 0o600 },
  ];
}
