/** The version of the spec's language, which `apiVersion` names: `haplan.dev/v1`. */
import { compareVersion, type FileContent, type FileFormat, upgradeContent } from "../base/file-format.ts";
import type { Json } from "../base/json.ts";
import { findingAt, type SpecFinding } from "./finding.ts";

/** A new version needs an upgrade from the one before, and an example in test/formats/examples. */
export const specFormat: FileFormat = { current: 1, upgrades: {} };

const group = "haplan.dev/v";

type SpecVersion =
  /** In the current version, or not a spec that says its version: what is wrong then, the schema tells. */
  { readonly value: Json; readonly finding: null } | { readonly value: null; readonly finding: SpecFinding };

/** The document in the current version of the language, or why it cannot be read. */
export function toCurrentVersion(value: Json, format: FileFormat = specFormat): SpecVersion {
  const version = versionOf(value);
  if (version === null) return { value, finding: null };
  if (compareVersion(format, version) === "newer") {
    const finding = findingAt("/apiVersion", {
      code: "spec/newer-version",
      summary: `The spec is written in version ${version} of its language`,
      detail: `This haplan knows up to ${group}${format.current}. Use a newer haplan, or write the spec for \`apiVersion: ${group}${format.current}\`.`,
    });
    return { value: null, finding };
  }
  if (version === format.current) return { value, finding: null };
  const { version: _, ...upgraded } = upgradeContent(format, version, value as FileContent);
  const current = { ...upgraded, apiVersion: `${group}${format.current}` };
  return { value: current as Json, finding: null };
}

function versionOf(value: Json): number | null {
  if (typeof value !== "object" || value === null || !("apiVersion" in value)) return null;
  const { apiVersion } = value;
  const number = typeof apiVersion === "string" ? /^haplan\.dev\/v([1-9]\d{0,5})$/.exec(apiVersion)?.[1] : undefined;
  return number === undefined ? null : Number(number);
}
