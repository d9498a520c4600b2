/** Members that are taken over: each endpoint belongs to one master, by its address, and one at least is new. */
import { findingAt, type SpecFinding } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkAdoption: SpecRule = ({ adoptEndpoints, masters, tlsEnabled, controlPlane }) => {
  const endpoints = adoptEndpoints.flatMap(({ pointer, value }) =>
    URL.canParse(value) ? [{ pointer, value, url: new URL(value) }] : [],
  );
  if (endpoints.length === 0 || controlPlane === null) return [];
  const findings: SpecFinding[] = [];
  if (tlsEnabled.value || endpoints.some(({ url }) => url.protocol === "https:")) {
    findings.push(
      findingAt(tlsEnabled.pointer, {
        code: "spec/adopt-tls",
        summary: "Members that use TLS cannot be taken over in this version",
        detail:
          "The new member needs certificates that the others trust, from an authority whose key haplan does not have. Write `tls: { enabled: false }` and http endpoints, for members that run without TLS.",
      }),
    );
  }
  if (masters === null) {
    findings.push({
      place: { pointer: controlPlane.pointer, part: "key" },
      code: "spec/adopt-unlisted",
      summary: "Members are taken over, and no masters are listed",
      detail: "List all masters with name and address: those that run already, and the new ones.",
    });
    return findings;
  }
  const addresses = masters.value.flatMap(({ address }) => address?.value ?? []);
  const seen = new Set<string>();
  for (const { pointer, value, url } of endpoints) {
    if (!addresses.includes(url.hostname)) findings.push(unlisted(pointer, value, url.hostname));
    else if (seen.has(url.hostname)) findings.push(twice(pointer, value, url.hostname));
    seen.add(url.hostname);
  }
  return findings;
};

function unlisted(pointer: string, endpoint: string, address: string): SpecFinding {
  return findingAt(pointer, {
    code: "spec/adopt-unlisted",
    summary: `${endpoint} is to be taken over, and no master has the address ${address}`,
    detail: `A member that is taken over is one of the masters. Add one with a name and \`address: ${address}\`.`,
  });
}

function twice(pointer: string, endpoint: string, address: string): SpecFinding {
  return findingAt(pointer, {
    code: "spec/adopt-twice",
    summary: `${endpoint} is the second endpoint at ${address}`,
    detail: "One endpoint for each member is enough. Members that share an address would fail together.",
  });
}
