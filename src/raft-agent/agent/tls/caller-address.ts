/**
 * Verifies that a peer connects from an address covered by its certificate, so that a certificate stolen from one
 * machine cannot be used on another (etcd client/pkg/transport/listener_tls.go, checkCertSAN). A certificate without
 * addresses and host names is valid anywhere; host names are looked up in both directions, wildcards only from the
 * address.
 */
import type { X509Certificate } from "node:crypto";
import { lookup, reverse } from "node:dns/promises";
import { errorText } from "../../../base/haplan-error.ts";

export type NameService = {
  namesOf(address: string): Promise<readonly string[]>;
  addressesOf(name: string): Promise<readonly string[]>;
};

const systemNames: NameService = {
  namesOf: (address) => reverse(address),
  addressesOf: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
};

/** Null when the caller is accepted from `remoteAddress`, else the reason. A closed socket has no address. */
export async function verifyPeerAddress(
  certificate: X509Certificate,
  remoteAddress: string | undefined,
  names: NameService = systemNames,
): Promise<string | null> {
  if (remoteAddress === undefined) return "it has disconnected";
  // A dual-stack socket reports IPv4 addresses in IPv6 form.
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, "");
  const alternatives = (certificate.subjectAltName ?? "").split(", ");
  const hostNames = alternatives.filter((name) => name.startsWith("DNS:")).map((name) => name.slice("DNS:".length));
  const hasAddresses = alternatives.some((name) => name.startsWith("IP Address:"));
  if (hostNames.length === 0 && !hasAddresses) return null;
  if (certificate.checkIP(address) !== undefined) return null;
  const failures: string[] = [];
  if (await isAtOneOf(hostNames, address, names, failures)) return null;
  const because = failures.length === 0 ? "" : ` (${failures.join("; ")})`;
  return `its certificate is for ${alternatives.join(", ")}, and not for its address${because}`;
}

async function isAtOneOf(
  hostNames: readonly string[],
  address: string,
  names: NameService,
  failures: string[],
): Promise<boolean> {
  if (hostNames.length === 0) return false;
  const orNothing = (question: Promise<readonly string[]>): Promise<readonly string[]> =>
    question.catch((error) => {
      failures.push(errorText(error));
      return [];
    });
  const wildcards = hostNames.filter((name) => name.startsWith("*.")).map((name) => name.slice(1));
  const plain = hostNames.filter((name) => !name.startsWith("*."));
  for (const name of await orNothing(names.namesOf(address))) {
    const own = name.replace(/\.$/, "");
    if (plain.includes(own) || wildcards.some((ending) => own.endsWith(ending))) return true;
  }
  for (const name of plain) if ((await orNothing(names.addressesOf(name))).includes(address)) return true;
  return false;
}
