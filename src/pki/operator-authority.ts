/**
 * An authority of the operator: its certificate is in a file, and it signs by its key, in another file, or by a program.
 * The certificates that it issues, and their keys, are in haplan's own directory. `caFile` may hold several authorities,
 * all of which are trusted; the operator replaces them there.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { makeDirDurably, writeFileDurably } from "../base/durable-file.ts";
import { fingerprintOf } from "../base/fingerprint.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { certificateValidity } from "../plan/certificate-validity.ts";
import { adminCertificateName } from "../plan/desired-resources.ts";
import type { ObservedAuthority, ObservedCertificate, TrustedAuthority } from "../plan/observed-cluster.ts";
import type { OperatorAuthority } from "../spec/cluster-spec.ts";
import { certificateRequest } from "../x509/certificate-request.ts";
import { certificatesIn } from "../x509/pem.ts";
import type { Authority, CertificateRequest } from "./authority-port.ts";
import {
  assertCertificateName,
  certificatePath,
  issuedNames,
  previousPath,
  readIfExists,
  readPair,
  removeIssued,
  writePair,
} from "./certificate-directory.ts";
import { observeCertificate, validityOf } from "./certificate-facts.ts";
import { runSigner } from "./external-signer.ts";
import { answersRequest, certificateLifetimeMs, commonNameOf, generateKeys, sign } from "./issue-certificate.ts";
import { checkSigned, issuerOf, leadsTo } from "./signed-certificate.ts";
import type { TlsMaterial } from "./tls-material.ts";

export type OperatorAuthorityOptions = {
  /** The directory of the certificates that it issues. */
  readonly directory: string;
  readonly files: OperatorAuthority;
  /** The base of relative paths in `files`, and the working directory of the signer. */
  readonly cwd: string;
  readonly now?: () => number;
};

/** Reads nothing until a method is called. */
export function openOperatorAuthority(options: OperatorAuthorityOptions): Authority {
  const { directory, files } = options;
  const now = options.now ?? Date.now;
  const notOurs = async (): Promise<never> => {
    throw bad(`${files.caFile} is not managed by haplan: change it where it was created`);
  };
  return {
    observe: async () => {
      const roots = readRoots(options);
      return { authority: observeAuthority(options, roots), certificates: observeIssued(directory, roots) };
    },
    createAuthority: async () => observeAuthority(options, readRoots(options)),
    renewAuthority: notOurs,
    addAuthority: notOurs,
    activateAuthority: notOurs,
    dropAuthority: notOurs,
    trialMaterial: async () => null,
    issue: (request) => issue(options, request, now),
    material: async (name) => material(options, name),
    clientMaterial: () => adminMaterial(options, now),
    removeCertificate: async (name) => removeIssued(directory, name),
    removeAuthority: async () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** @throws HaplanError `pki/authority-files` naming the file */
function readRoots({ files, cwd }: OperatorAuthorityOptions): readonly X509Certificate[] {
  const pems = certificatesIn(readText(cwd, files.caFile));
  if (pems.length === 0) throw bad(`${files.caFile} contains no certificate in PEM`);
  const roots = pems.map((pem) => parsed(files.caFile, pem));
  for (const root of roots) {
    if (!root.ca) throw bad(`${files.caFile} has a certificate that is not an authority's: ${root.subject}`);
    // Verifiers accept only an authority that nothing else has signed.
    if (!root.verify(root.publicKey)) {
      throw bad(
        `${files.caFile} has an intermediate authority, ${root.subject}: write the one that signs itself, and let the signer print the intermediate ones`,
      );
    }
  }
  return roots;
}

function readText(cwd: string, path: string): string {
  try {
    return readFileSync(resolve(cwd, path), "utf8");
  } catch (error) {
    throw bad(`Cannot read ${path}: ${errorText(error)}`);
  }
}

function parsed(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw bad(`${path} contains no certificate in PEM: ${errorText(error)}`);
  }
}

function observeAuthority(options: OperatorAuthorityOptions, roots: readonly X509Certificate[]): ObservedAuthority {
  const own = signingRoot(options, roots);
  const previous = roots.filter((root) => root !== own).map(describe);
  return {
    ...describe(own),
    signingKey: signingKey(options, own),
    ...(previous.length === 0 ? {} : { previous }),
    directory: options.files.caFile,
  };
}

function describe(certificate: X509Certificate): TrustedAuthority {
  return {
    fingerprint: fingerprintOf(certificate),
    commonName: commonNameOf(certificate),
    ...validityOf(certificate),
  };
}

/** Of several, the one that the key belongs to; with a signer the first one. */
function signingRoot(options: OperatorAuthorityOptions, roots: readonly X509Certificate[]): X509Certificate {
  const key = readKey(options);
  return roots.find((root) => key !== null && root.checkPrivateKey(key)) ?? roots[0]!;
}

function signingKey(options: OperatorAuthorityOptions, root: X509Certificate): ObservedAuthority["signingKey"] {
  if (options.files.signer !== null) return "present";
  const key = readKey(options);
  if (key === null) return "missing";
  return root.checkPrivateKey(key) ? "present" : "mismatched";
}

/** Null without a key file, or if it is not there: it may be kept elsewhere. */
function readKey({ files, cwd }: OperatorAuthorityOptions): KeyObject | null {
  if (files.keyFile === null) return null;
  let pem: string;
  try {
    pem = readFileSync(resolve(cwd, files.keyFile), "utf8");
  } catch {
    return null;
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const why = pem.includes("ENCRYPTED")
      ? "is encrypted: name a file with the unencrypted key"
      : `contains no private key: ${errorText(error)}`;
    throw bad(`${files.keyFile} ${why}`);
  }
}

function observeIssued(directory: string, roots: readonly X509Certificate[]): readonly ObservedCertificate[] {
  return issuedNames(directory).flatMap((name) => {
    const pair = readPair(directory, name);
    if (pair === null) return [];
    const chain = certificatesIn(pair.certificatePem).map((pem) => new X509Certificate(pem));
    const [leaf] = chain;
    const issuer = leaf === undefined ? undefined : issuerOf(leaf, [...chain.slice(1), ...roots]);
    return [
      {
        ...observeCertificate(name, pair.certificatePem, null),
        trusted: leadsTo(chain, roots),
        endsWithAuthority: leaf !== undefined && issuer?.validTo === leaf.validTo,
      },
    ];
  });
}

async function issue(
  options: OperatorAuthorityOptions,
  request: CertificateRequest,
  now: () => number,
): Promise<ObservedCertificate> {
  const { directory } = options;
  assertCertificateName(request.name);
  const roots = readRoots(options);
  const observed = (): ObservedCertificate =>
    observeIssued(directory, roots).find(({ name }) => name === request.name)!;
  const present = readPair(directory, request.name);
  if (present !== null && observed().trusted && answersRequest(present.certificatePem, request, now()))
    return observed();
  const signed = await signRequest(options, roots, request, now);
  makeDirDurably(directory);
  if (present !== null) {
    writeFileDurably(previousPath(directory, request.name), present.certificatePem, { mode: 0o644 });
  }
  writePair(directory, request.name, signed.certificatePem, signed.privateKey);
  return observed();
}

type Signed = { readonly certificatePem: string; readonly privateKey: KeyObject };

async function signRequest(
  options: OperatorAuthorityOptions,
  roots: readonly X509Certificate[],
  request: CertificateRequest,
  now: () => number,
): Promise<Signed> {
  const { files, cwd } = options;
  if (files.signer === null) {
    const key = readKey(options);
    const root = signingRoot(options, roots);
    if (key === null || !root.checkPrivateKey(key)) {
      const fault = key === null ? "is missing" : `is not the key of ${files.caFile}`;
      throw new HaplanError(
        "pki/authority-key-missing",
        `Cannot issue certificate "${request.name}": ${files.keyFile} ${fault}`,
      );
    }
    const pair = { certificatePem: root.toString(), keyPem: key.export({ type: "pkcs8", format: "pem" }).toString() };
    return sign(pair, request, now(), certificateLifetimeMs);
  }
  const keys = generateKeys();
  const requestPem = certificateRequest({ ...request, publicKey: keys.publicKey }, keys.privateKey);
  const chain = await runSigner({ ...files.signer, cwd }, { name: request.name, profile: request.profile, requestPem });
  // It is valid from a moment that lies after its start.
  checkSigned(chain, roots, request, keys.publicKey, now());
  return { certificatePem: withoutRoots(chain, roots).join(""), privateKey: keys.privateKey };
}

function withoutRoots(chain: readonly string[], roots: readonly X509Certificate[]): readonly string[] {
  const known = new Set(roots.map((root) => root.fingerprint256));
  return chain.filter((pem) => !known.has(new X509Certificate(pem).fingerprint256));
}

function material(options: OperatorAuthorityOptions, name: string): TlsMaterial {
  assertCertificateName(name);
  const pair = readPair(options.directory, name);
  if (pair === null) {
    throw new HaplanError("pki/unknown-certificate", `There is no certificate "${name}" in "${options.directory}"`);
  }
  return { caPem: trustedPem(options), ...pair };
}

/** Its order does not matter to members, and must not rewrite their files. */
function trustedPem(options: OperatorAuthorityOptions): string {
  return readRoots(options)
    .map((root) => root.toString())
    .sort()
    .join("");
}

/** haplan's own certificate or, if that cannot be used, one that is signed for this run and never written to disk. */
async function adminMaterial(options: OperatorAuthorityOptions, now: () => number): Promise<TlsMaterial> {
  const { directory } = options;
  const roots = readRoots(options);
  const caPem = trustedPem(options);
  const acceptedExpired = issuedFingerprints(directory);
  const pair = readPair(directory, adminCertificateName);
  const observed = observeIssued(directory, roots).find(({ name }) => name === adminCertificateName);
  if (pair !== null && observed?.trusted && certificateValidity(observed, now()).status === "valid") {
    return { caPem, ...pair, acceptedExpired };
  }
  const name = adminCertificateName;
  const request = { name, profile: "client", commonName: name, subjectAltNames: [name] } as const;
  try {
    const { certificatePem, privateKey } = await signRequest(options, roots, request, now);
    return {
      caPem,
      certificatePem,
      keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      acceptedExpired,
    };
  } catch (error) {
    const fault = `${name}.crt in "${directory}" cannot be used, nor can another one be signed`;
    throw new HaplanError("pki/not-authenticated", `cannot authenticate: ${fault}: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** Members whose certificates have expired are reached to renew them. */
function issuedFingerprints(directory: string): readonly string[] {
  return issuedNames(directory).flatMap((name) => {
    const files = [certificatePath(directory, name), previousPath(directory, name)].map(readIfExists);
    return files.flatMap((pem) => (pem === null ? [] : [fingerprintOf(new X509Certificate(pem))]));
  });
}

function bad(message: string): HaplanError {
  return new HaplanError("pki/authority-files", `${message}. Nothing was changed`);
}
