/**
 * The cluster's certificate authority: a directory with its certificate, its key, and a certificate and key for each
 * name that it has issued to. The authority's key never leaves the directory.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { rmSync } from "node:fs";
import { certificateBackdatingMs } from "../base/certificate-backdating.ts";
import { makeDirDurably, syncDir, writeFileDurably } from "../base/durable-file.ts";
import { fingerprintOf } from "../base/fingerprint.ts";
import { HaplanError } from "../base/haplan-error.ts";
import { msPerDay } from "../plan/certificate-validity.ts";
import type { ObservedAuthority, ObservedCertificate, TrustedAuthority } from "../plan/observed-cluster.ts";
import { signingKeyFault } from "../plan/signing-key.ts";
import { keyIdentifier, nameOf, signCertificate } from "../x509/certificate.ts";
import type { Authority, CertificateRequest } from "./authority-port.ts";
import {
  type AuthorityFiles,
  assertCertificateName,
  authorityName,
  certificatePath,
  issuedNames,
  type Pair,
  readAuthority,
  readPair,
  removeIssued,
  trustedPem,
  writePair,
} from "./certificate-directory.ts";
import { issuerNames, observeCertificate, validityOf } from "./certificate-facts.ts";
import { clientMaterial, temporaryClient } from "./client-material.ts";
import { commonNameOf, generateKeys, isIssuedBy, issueInto } from "./issue-certificate.ts";
import {
  type AuthorityDates,
  activateAuthority,
  addAuthority,
  crossCertificate,
  dropAuthority,
} from "./replace-authority.ts";
import type { TlsMaterial } from "./tls-material.ts";

export type AuthorityOptions = {
  /** The directory of the files; created with the authority. */
  readonly directory: string;
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly now?: () => number;
};

const authorityLifetimeMs = 3650 * msPerDay;

/** Opens the authority in `directory`; reads and writes nothing until a method is called. */
export function openAuthority(options: AuthorityOptions): Authority {
  const directory = options.directory;
  const now = options.now ?? Date.now;
  return {
    observe: async () => observeDir(directory),
    createAuthority: async (commonName) => createAuthority(directory, commonName, now()),
    renewAuthority: async (replaces) => renewAuthority(directory, replaces, now()),
    addAuthority: async (commonName) =>
      observedAuthority(directory, addAuthority(directory, commonName, authorityDates(now()))),
    activateAuthority: async () => observedAuthority(directory, activateAuthority(directory)),
    dropAuthority: async () => observedAuthority(directory, dropAuthority(directory)),
    trialMaterial: async () => trialMaterial(directory, now()),
    issue: async (request) => issue(directory, request, now()),
    material: async (name) => material(directory, name),
    clientMaterial: async () => clientMaterial(directory, now()),
    removeCertificate: async (name) => removeIssued(directory, name),
    removeAuthority: async () => rmSync(directory, { recursive: true, force: true }),
  };
}

function observeDir(directory: string): Awaited<ReturnType<Authority["observe"]>> {
  const authority = readAuthority(directory);
  const certificates: ObservedCertificate[] = [];
  for (const name of issuedNames(directory)) {
    const pair = readPair(directory, name);
    if (pair === null) continue;
    certificates.push({
      ...observeCertificate(name, pair.certificatePem, authority?.certificatePem ?? null),
      ...(authority?.previousPems.some((certificatePem) => isIssuedBy(pair, { certificatePem })) === true
        ? { signedByPrevious: true as const }
        : {}),
    });
  }
  return { authority: authority === null ? null : observedAuthority(directory, authority), certificates };
}

function observedAuthority(directory: string, files: AuthorityFiles): ObservedAuthority {
  const { certificatePem, signingKey, next, previousPems } = files;
  return {
    ...trustedAuthority(certificatePem),
    signingKey,
    ...(next === null ? {} : { next: trustedAuthority(next.certificatePem) }),
    ...(previousPems.length === 0 ? {} : { previous: previousPems.map(trustedAuthority) }),
    ...(crossCertificate(directory, next ?? files) === null ? {} : { crossSigned: true }),
    directory,
  };
}

function trustedAuthority(pem: string): TrustedAuthority {
  const certificate = new X509Certificate(pem);
  return {
    fingerprint: fingerprintOf(certificate),
    commonName: commonNameOf(certificate),
    ...validityOf(certificate),
  };
}

function authorityDates(now: number): AuthorityDates {
  return { notBefore: new Date(now - certificateBackdatingMs), notAfter: new Date(now + authorityLifetimeMs) };
}

/** @throws HaplanError `pki/no-authority`, `pki/authority-key-missing` */
function signingAuthority(directory: string, purpose: string): Pair {
  const authority = readAuthority(directory);
  if (authority === null) {
    throw new HaplanError("pki/no-authority", `Cannot ${purpose}: there is no authority in "${directory}"`);
  }
  const { certificatePem, keyPem } = authority;
  if (keyPem !== null) return { certificatePem, keyPem };
  throw new HaplanError(
    "pki/authority-key-missing",
    `Cannot ${purpose}: ${signingKeyFault({ ...authority, directory })}`,
  );
}

function createAuthority(directory: string, commonName: string, now: number): ObservedAuthority {
  const present = readAuthority(directory);
  // A certificate without its key was never used: the key is written first.
  if (present !== null) return observedAuthority(directory, present);
  makeDirDurably(directory);
  const keys = generateKeys();
  const certificatePem = signCertificate(
    {
      profile: "authority",
      commonName,
      subjectAltNames: [],
      ...authorityDates(now),
      publicKey: keys.publicKey,
    },
    { name: nameOf(commonName), keyIdentifier: keyIdentifier(keys.publicKey), privateKey: keys.privateKey },
  );
  writePair(directory, authorityName, certificatePem, keys.privateKey);
  return observedAuthority(directory, soleAuthority(certificatePem));
}

function soleAuthority(certificatePem: string): AuthorityFiles {
  return { certificatePem, keyPem: null, signingKey: "present", next: null, previousPems: [] };
}

/**
 * The same name and key: what it has signed is valid under both certificates, so not everything has to change at once.
 */
function renewAuthority(directory: string, replaces: string, now: number): ObservedAuthority {
  const { certificatePem: present, keyPem } = signingAuthority(directory, "renew the authority's certificate");
  const certificate = new X509Certificate(present);
  const files = readAuthority(directory)!;
  if (fingerprintOf(certificate) !== replaces) return observedAuthority(directory, files);
  const certificatePem = signCertificate(
    {
      profile: "authority",
      commonName: commonNameOf(certificate),
      subjectAltNames: [],
      notBefore: new Date(certificate.validFrom),
      notAfter: new Date(now + authorityLifetimeMs),
      publicKey: certificate.publicKey,
    },
    { ...issuerNames(present), privateKey: createPrivateKey(keyPem) },
  );
  const others = [...(files.next === null ? [] : [files.next.certificatePem]), ...files.previousPems];
  const text = [certificatePem, ...others].join("");
  writeFileDurably(certificatePath(directory, authorityName), text, { mode: 0o644 });
  syncDir(directory);
  return observedAuthority(directory, { ...files, certificatePem });
}

function issue(directory: string, request: CertificateRequest, now: number): ObservedCertificate {
  assertCertificateName(request.name);
  return issueInto(directory, signingAuthority(directory, `issue certificate "${request.name}"`), request, now);
}

function material(directory: string, name: string): TlsMaterial {
  assertCertificateName(name);
  const authority = readAuthority(directory);
  const pair = readPair(directory, name);
  if (authority === null || pair === null) {
    throw new HaplanError("pki/unknown-certificate", `There is no certificate "${name}" in "${directory}"`);
  }
  return { caPem: trustedPem(authority), ...pair, certificatePem: chainOf(directory, pair, authority) };
}

/** With the certificate by which clients that trust only the previous authority verify it. */
function chainOf(directory: string, pair: Pair, authority: AuthorityFiles): string {
  const crossPem = isIssuedBy(pair, authority) ? crossCertificate(directory, authority) : null;
  return crossPem === null ? pair.certificatePem : `${pair.certificatePem}${crossPem}`;
}

function trialMaterial(directory: string, now: number): TlsMaterial | null {
  const authority = readAuthority(directory);
  return authority?.next ? temporaryClient(authority.next, trustedPem(authority), now) : null;
}
