/** Adopted members: each endpoint belongs to one master, by its address, and at least one master is new. */
import { canonicalAddress, urlHost } from "../../base/ip-address.ts";
import type { AdoptedTlsDraft } from "../draft.ts";
import { findingAt, type SpecFinding } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkAdoption: SpecRule = ({ masters, controlPlane }) => {
  const adopt = controlPlane?.entries.adopt ?? null;
  if (controlPlane === null || adopt === null) return [];
  const tlsEnabled = controlPlane.entries.tls.entries.enabled;
  const adoptTls = adopt.entries.tls;
  const endpoints = (adopt.entries.endpoints?.items ?? []).flatMap((endpoint) =>
    endpoint !== null && URL.canParse(endpoint.value)
      ? [{ ...endpoint, url: new URL(endpoint.value), host: urlHost(endpoint.value) }]
      : [],
  );
  if (endpoints.length === 0) return [];
  const findings: SpecFinding[] = [];
  const scheme = tlsEnabled.value ? "https:" : "http:";
  for (const { pointer, value } of endpoints.filter(({ url }) => url.protocol !== scheme)) {
    findings.push(otherScheme(pointer, value, tlsEnabled.value));
  }
  if (tlsEnabled.value && adoptTls === null) findings.push(noFiles(controlPlane.pointer));
  if (!tlsEnabled.value && adoptTls !== null) {
    findings.push(
      findingAt(adoptTls.pointer, {
        code: "spec/adopt-tls",
        summary: "Certificates are given, but TLS is off",
        detail: "Remove `adopt.tls`, or write https endpoints and `tls: { enabled: true }`.",
      }),
    );
  }
  if (masters === null) {
    findings.push({
      place: { pointer: controlPlane.pointer, part: "key" },
      code: "spec/adopt-unlisted",
      summary: "Members are adopted, but no masters are listed",
      detail: "List all masters with name and address: the existing ones and the new ones.",
    });
    return findings;
  }
  const addresses = masters.hosts.flatMap(({ address }) => (address === null ? [] : canonicalAddress(address.value)));
  const seen = new Set<string>();
  for (const { pointer, value, host } of endpoints) {
    if (!addresses.includes(host)) findings.push(unlisted(pointer, value, host));
    else if (seen.has(host)) findings.push(twice(pointer, value, host));
    seen.add(host);
  }
  const adopted = new Set(endpoints.map(({ host }) => host));
  const own = masters.hosts.flatMap(({ name, address }) =>
    name === null || address === null || adopted.has(canonicalAddress(address.value)) ? [] : [name.value],
  );
  return adoptTls === null ? findings : [...findings, ...checkAdoptedTls(adoptTls, own)];
};

/**
 * Every master that haplan creates needs a certificate: an existing one, or one from an authority whose key is
 * available.
 */
function checkAdoptedTls(tls: AdoptedTlsDraft, own: readonly string[]): readonly SpecFinding[] {
  const findings: SpecFinding[] = [];
  const say = (pointer: string, summary: string, detail: string): void =>
    void findings.push(findingAt(pointer, { code: "spec/adopt-certificate", summary, detail }));
  const certificates = (tls.entries.certificates?.items ?? []).filter((certificate) => certificate !== null);
  for (const {
    pointer,
    written,
    entries: { name },
  } of certificates) {
    if (name !== null && !own.includes(name.value)) {
      const detail = `Certificates are listed for masters that haplan creates: ${own.join(", ") || "there is none"}.`;
      say(name.pointer, `${name.value} gets no certificate from haplan`, detail);
    }
    if (written.includes("peerCertFile") !== written.includes("peerKeyFile")) {
      say(
        pointer,
        "A peer certificate and its key belong together",
        "Write both peerCertFile and peerKeyFile, or neither.",
      );
    }
  }
  if (tls.written.includes("peerCaKeyFile") && !tls.written.includes("peerCaFile")) {
    say(tls.pointer, "The peers' authority has a key but no certificate", "Write peerCaFile as well.");
  }
  for (const name of own) {
    const ready = certificates.find((certificate) => certificate.entries.name?.value === name);
    if (ready !== undefined) continue;
    const missing = ["caKeyFile", ...(tls.written.includes("peerCaFile") ? ["peerCaKeyFile"] : [])];
    const absent = missing.filter((key) => !tls.written.includes(key));
    if (absent.length === 0) continue;
    say(
      tls.pointer,
      `There is no certificate for ${name}`,
      `It needs one that the members trust. Write ${absent.join(" and ")}, so that haplan can issue it; or list an existing one: certificates: [{ name: ${name}, certFile: ..., keyFile: ... }]`,
    );
  }
  return findings;
}

function noFiles(pointer: string): SpecFinding {
  return {
    place: { pointer: `${pointer}/adopt`, part: "key" },
    code: "spec/adopt-tls",
    summary: "Members with TLS are to be adopted, but no certificates are given",
    detail:
      "Write `adopt: { tls: { caFile: ..., certFile: ..., keyFile: ..., caKeyFile: ... } }`: the authority that signed the members' certificates, a client certificate that they accept, and the authority's key for the new member's certificate. For members without TLS, write `tls: { enabled: false }`.",
  };
}

function otherScheme(pointer: string, endpoint: string, tls: boolean): SpecFinding {
  return findingAt(pointer, {
    code: "spec/adopt-tls",
    summary: `${endpoint} is to be adopted, but TLS is ${tls ? "on" : "off"}`,
    detail: tls
      ? "Write https endpoints; or `tls: { enabled: false }`, for members without TLS. All members must use the same."
      : "Write `tls: { enabled: true }`, and the certificates under `adopt.tls`. All members must use the same.",
  });
}

function unlisted(pointer: string, endpoint: string, address: string): SpecFinding {
  return findingAt(pointer, {
    code: "spec/adopt-unlisted",
    summary: `${endpoint} is to be adopted, but no master has the address ${address}`,
    detail: `An adopted member is one of the masters. Add one with a name and \`address: ${address}\`.`,
  });
}

function twice(pointer: string, endpoint: string, address: string): SpecFinding {
  return findingAt(pointer, {
    code: "spec/adopt-twice",
    summary: `${endpoint} is the second endpoint at ${address}`,
    detail: "One endpoint per member is enough. Members that share an address would fail together.",
  });
}
