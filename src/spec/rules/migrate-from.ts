/** The cluster that is replaced is another one, is not adopted as well, and is asked over TLS if it has TLS. */
import { findingAt, type SpecFinding } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkMigrateFrom: SpecRule = ({ controlPlane }) => {
  const from = controlPlane?.entries.migrateFrom ?? null;
  if (controlPlane === null || from === null) return [];
  const findings: SpecFinding[] = [];
  if (controlPlane.entries.adopt !== null) {
    const summary = "Members are both adopted and migrated from";
    const detail =
      "Adopted members stay in the cluster; those of migrateFrom are replaced by new ones. Remove one of the two.";
    findings.push(findingAt(from.pointer, { code: "spec/migrate-adopted", summary, detail }));
  }
  const endpoints = (from.entries.endpoints?.items ?? []).filter((endpoint) => endpoint !== null);
  const hasTls = from.entries.tls !== null;
  for (const { pointer, value } of endpoints.filter((each) => each.value.startsWith("https:") !== hasTls)) {
    findings.push(
      findingAt(pointer, {
        code: "spec/migrate-tls",
        summary: hasTls
          ? `${value} is without TLS, but certificates are given`
          : `${value} has TLS, but no certificates are given`,
        detail: hasTls
          ? "Write https endpoints, or remove migrateFrom.tls."
          : "Write `tls: { caFile: ..., certFile: ..., keyFile: ... }` below migrateFrom: the authority of its members, and a client certificate that they accept.",
      }),
    );
  }
  return findings;
};
