/**
 * The authority of an adopted cluster: its files belong to the operator and are only read. With the authority's key,
 * certificates of new members are issued into haplan's own directory; without it, existing certificates are used. Files
 * that do not fit are rejected when they are first read, before anything is changed.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { fingerprintOf } from "../base/fingerprint.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { certificateValidity } from "../plan/certificate-validity.ts";
import { adminCertificateName } from "../plan/desired-resources.ts";
import type { ObservedAuthority } from "../plan/observed-cluster.ts";
import type { AdoptedTls, ReadyCertificate } from "../spec/cluster-spec.ts";
import { ofPeers, peerCertificateName } from "../units/peer-certificate.ts";
import { certificatesIn } from "../x509/pem.ts";
import type { Authority } from "./authority-port.ts";
import { certificatePath, issuedNames, keyPath, type Pair, readPair } from "./certificate-directory.ts";
import { observeCertificate, validityOf } from "./certificate-facts.ts";
import { commonNameOf, isIssuedBy, issueInto } from "./issue-certificate.ts";
import type { TlsMaterial } from "./tls-material.ts";

export type AdoptedAuthorityOptions = {
  /** The directory of the certificates that haplan issues. */
  readonly directory: string;
  readonly files: AdoptedTls;
  /** The base of relative paths in `files`. */
  readonly cwd: string;
  readonly now?: () => number;
};

export function openAdoptedAuthority({ directory, files, cwd, now = Date.now }: AdoptedAuthorityOptions): Authority {
  const reader = new PemReader(cwd, now);
  const notOurs = (verb: string): never => {
    throw bad(`${files.caFile} is not managed by haplan: ${verb} it where it was created`);
  };
  const authorityFor = (name: string): Pair => {
    const peers = ofPeers(name) && files.peerCaFile !== null;
    const [certificate, key] = peers ? [files.peerCaFile, files.peerCaKeyFile] : [files.caFile, files.caKeyFile];
    return reader.authority(certificate ?? "", key);
  };
  return {
    observe: async () => {
      checkAll(reader, files);
      const certificates = issuedNames(directory).flatMap((name) => {
        const pair = readPair(directory, name);
        const authority = authorityFor(name);
        if (pair === null || !isIssuedBy(pair, authority)) return [];
        return [observeCertificate(name, pair.certificatePem, authority.certificatePem)];
      });
      return { authority: observeAuthority(reader, files), certificates };
    },
    createAuthority: async () => observeAuthority(reader, files),
    renewAuthority: async () => notOurs("renew"),
    addAuthority: async () => notOurs("replace"),
    activateAuthority: async () => notOurs("replace"),
    dropAuthority: async () => notOurs("replace"),
    trialMaterial: async () => null,
    issue: async (request) => issueInto(directory, authorityFor(request.name), request, now()),
    material: async (name) => material(directory, reader, files, name),
    clientMaterial: async () => material(directory, reader, files, adminCertificateName),
    removeCertificate: async (name) => {
      rmSync(keyPath(directory, name), { force: true });
      rmSync(certificatePath(directory, name), { force: true });
    },
    removeAuthority: async () => rmSync(directory, { recursive: true, force: true }),
  };
}

function observeAuthority(reader: PemReader, { caFile, caKeyFile }: AdoptedTls): ObservedAuthority {
  const certificate = new X509Certificate(reader.text("caFile", caFile));
  const signingKey = caKeyFile === null ? "missing" : "present";
  const commonName = commonNameOf(certificate);
  return {
    fingerprint: fingerprintOf(certificate),
    commonName,
    ...validityOf(certificate),
    signingKey,
    directory: caFile,
  };
}

/** Without the authority's key, all clients share one client certificate. */
function material(directory: string, reader: PemReader, files: AdoptedTls, name: string): TlsMaterial {
  const caPem = reader.text("caFile", files.caFile);
  const client = (): Pair => reader.pair("certFile", files.certFile, files.keyFile);
  if (name === adminCertificateName) return { caPem, ...client() };
  const ready = files.certificates.find((certificate) => certificate.name === name);
  const pair =
    ready === undefined ? (readPair(directory, name) ?? client()) : reader.pair(name, ready.certFile, ready.keyFile);
  const peer = readyPeer(reader, ready) ?? readPair(directory, peerCertificateName(name));
  const peerCaPem = files.peerCaFile === null ? caPem : reader.text("peerCaFile", files.peerCaFile);
  return { caPem, ...pair, ...(peer === null ? {} : { peer: { caPem: peerCaPem, ...peer } }) };
}

function readyPeer(reader: PemReader, ready: ReadyCertificate | undefined): Pair | null {
  if (ready === undefined || ready.peerCertFile === null || ready.peerKeyFile === null) return null;
  return reader.pair(`${ready.name} (peer)`, ready.peerCertFile, ready.peerKeyFile);
}

function checkAll(reader: PemReader, files: AdoptedTls): void {
  reader.authority(files.caFile, files.caKeyFile);
  if (files.peerCaFile !== null) reader.authority(files.peerCaFile, files.peerCaKeyFile);
  reader.pair("certFile", files.certFile, files.keyFile);
  const peerCa = files.peerCaFile ?? files.caFile;
  for (const ready of files.certificates) {
    const server = reader.pair(ready.name, ready.certFile, ready.keyFile);
    reader.checkServes(ready.certFile, server, ready.address, files.caFile);
    const peer = readyPeer(reader, ready);
    if (peer !== null) reader.checkServes(ready.peerCertFile ?? "", peer, ready.address, peerCa);
    else reader.checkServes(ready.certFile, server, ready.address, peerCa);
  }
}

/** Reads PEM files; errors name the file. */
class PemReader {
  readonly #cwd: string;
  readonly #now: () => number;

  constructor(cwd: string, now: () => number) {
    this.#cwd = cwd;
    this.#now = now;
  }

  text(what: string, path: string): string {
    try {
      return readFileSync(resolve(this.#cwd, path), "utf8");
    } catch (error) {
      throw bad(`Cannot read ${path} (adopt.tls: ${what}): ${errorText(error)}`);
    }
  }

  /** The key is "" if it is not available. */
  authority(certFile: string, keyFile: string | null): Pair {
    const certificatePem = this.text("caFile", certFile);
    if (!this.#certificate(certFile, certificatePem).ca) {
      throw bad(
        `${certFile} is not the certificate of an authority: name the one that signed the members' certificates`,
      );
    }
    if (keyFile === null) return { certificatePem, keyPem: "" };
    const pair = this.pair("caKeyFile", certFile, keyFile);
    const type = createPrivateKey(pair.keyPem).asymmetricKeyType;
    if (type !== "rsa" && type !== "ec")
      throw bad(`${keyFile} is a key of type ${type}; only RSA and EC keys can sign here`);
    return pair;
  }

  pair(what: string, certFile: string, keyFile: string): Pair {
    const certificatePem = this.text(what, certFile);
    const keyPem = this.text(what, keyFile);
    const certificate = this.#certificate(certFile, certificatePem);
    let matches: boolean;
    try {
      matches = certificate.checkPrivateKey(createPrivateKey(keyPem));
    } catch (error) {
      const encrypted = keyPem.includes("ENCRYPTED");
      throw bad(
        `${keyFile} ${encrypted ? "is encrypted: name a file with the unencrypted key" : `contains no private key: ${errorText(error)}`}`,
      );
    }
    if (!matches) throw bad(`${keyFile} is not the key of ${certFile}`);
    return { certificatePem, keyPem };
  }

  checkServes(certFile: string, { certificatePem }: Pair, address: string, caFile: string): void {
    const certificate = new X509Certificate(certificatePem);
    const named = isIP(address) === 0 ? certificate.checkHost(address) : certificate.checkIP(address);
    if (named === undefined)
      throw bad(`${certFile} is not valid for ${address}: its names are ${certificate.subjectAltName ?? "none"}`);
    // Intermediate authorities may be in either file.
    const chain = [...certificatesIn(this.text("caFile", caFile)), ...certificatesIn(certificatePem).slice(1)];
    if (!chain.some((issuer) => certificate.verify(new X509Certificate(issuer).publicKey)))
      throw bad(`${certFile} was not issued by ${caFile}`);
  }

  #certificate(path: string, pem: string): X509Certificate {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(pem);
    } catch (error) {
      throw bad(`${path} contains no certificate in PEM: ${errorText(error)}`);
    }
    const { status } = certificateValidity(validityOf(certificate), this.#now());
    if (status === "expired") throw bad(`${path} expired on ${certificate.validTo}`);
    if (status === "notYetValid") throw bad(`${path} is not valid before ${certificate.validFrom}`);
    return certificate;
  }
}

function bad(message: string): HaplanError {
  return new HaplanError("pki/adopt-files", `${message}. Nothing was changed`);
}
