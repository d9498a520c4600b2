/** The operator's authority signs in one way, and only where haplan issues certificates. */
import { findingAt, type SpecFinding } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkAuthority: SpecRule = ({ controlPlane }) => {
  const tls = controlPlane?.entries.tls.entries;
  const authority = tls?.authority ?? null;
  if (controlPlane === null || tls === undefined || authority === null) return [];
  const { keyFile, signer } = authority.entries;
  const say = (summary: string, detail: string): SpecFinding =>
    findingAt(authority.pointer, { code: "spec/authority", summary, detail });
  const findings: SpecFinding[] = [];
  if ((keyFile === null) === (signer === null)) {
    const summary = keyFile === null ? "The authority cannot sign" : "The authority signs in two ways";
    findings.push(say(summary, "Write either `keyFile`, the file of its key, or `signer`, a program that signs."));
  }
  if (!tls.enabled.value) findings.push(say("An authority is given, but TLS is off", "Remove it, or turn TLS on."));
  const adopted = controlPlane.entries.adopt?.entries.tls ?? null;
  if (adopted !== null) {
    const detail = "The certificates of members that are adopted are described there. Remove one of the two.";
    findings.push(say("An authority is given here and in `adopt.tls`", detail));
  }
  return findings;
};
