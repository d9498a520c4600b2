/** The certificate authority as apply needs it. Every operation is idempotent. */
import type { ObservedAuthority, ObservedCertificate } from "../plan/observed-cluster.ts";
import type { TlsMaterial } from "./tls-material.ts";

export type CertificateRequest = {
  readonly name: string;
  /** `member`: server and client use; `client`: client use only. */
  readonly profile: "member" | "client";
  readonly commonName: string;
  /** IP addresses and DNS names, distinguished by their form. */
  readonly subjectAltNames: readonly string[];
  /** Fingerprint of the certificate to replace even if it is still valid; a later one is kept. */
  readonly replaces?: string | null;
};

/**
 * The cluster's own certificate authority and the certificates that it issued; keys leave this port only through
 * `material`.
 */
export type Authority = {
  observe(): Promise<{
    readonly authority: ObservedAuthority | null;
    readonly certificates: readonly ObservedCertificate[];
  }>;
  /** Creates the CA, or returns the existing one. */
  createAuthority(commonName: string): Promise<ObservedAuthority>;
  /**
   * Replaces the CA's certificate with fingerprint `replaces` by one with the same name and key and a new validity, so
   * that everything it has signed stays valid. Returns the current one if it is already later.
   */
  renewAuthority(replaces: string): Promise<ObservedAuthority>;
  /**
   * Creates the authority that is to replace the CA, with another key, which is trusted from now on and does not sign yet;
   * or returns the CA with the one that was created before.
   * @throws HaplanError `pki/rotation-unfinished` while a previous authority is trusted
   */
  addAuthority(commonName: string): Promise<ObservedAuthority>;
  /** The next authority, if there is one, signs from now on, and the key of the previous one is deleted. */
  activateAuthority(): Promise<ObservedAuthority>;
  /** The previous authority, if there is one, is no longer trusted. */
  dropAuthority(): Promise<ObservedAuthority>;
  /**
   * A client certificate for an hour from the next authority, to find out whether members trust that; null if haplan
   * cannot make one.
   */
  trialMaterial(): Promise<TlsMaterial | null>;
  /**
   * Issues a certificate, or returns the existing one if it satisfies the request. It never outlives the CA.
   * @throws HaplanError `pki/authority-expired`, `pki/authority-key-missing`
   */
  issue(request: CertificateRequest): Promise<ObservedCertificate>;
  /** @throws HaplanError `pki/unknown-certificate` */
  material(name: string): Promise<TlsMaterial>;
  /**
   * haplan's client certificate: its own or, if that cannot be used, one that the CA signs for this run and that is
   * never written to disk.
   * @throws HaplanError `pki/not-authenticated` naming the file that is missing or has expired
   */
  clientMaterial(): Promise<TlsMaterial>;
  /** Removes one certificate and its key; no error if there is none. */
  removeCertificate(name: string): Promise<void>;
  /** Removes the CA, all certificates and their keys. */
  removeAuthority(): Promise<void>;
};
