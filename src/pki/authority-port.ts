/** What apply needs of a certificate authority. Every act is idempotent. */
import type { ObservedAuthority, ObservedCertificate } from "../plan/observed-cluster.ts";
import type { TlsMaterial } from "./tls-material.ts";

export type CertificateRequest = {
  readonly name: string;
  /** `member`: server and client use; `client`: client use only. */
  readonly profile: "member" | "client";
  readonly commonName: string;
  /** IP addresses and DNS names, told apart by their form. */
  readonly subjectAltNames: readonly string[];
  /** Fingerprint of the certificate that is to be replaced even if it is still good; a later one is kept. */
  readonly replaces?: string | null;
};

/** The cluster's own certificate authority and what it has issued; keys stay behind this port except in `material`. */
export type Authority = {
  observe(): Promise<{
    readonly authority: ObservedAuthority | null;
    readonly certificates: readonly ObservedCertificate[];
  }>;
  /** Makes the CA, or returns the one that is there. */
  createAuthority(commonName: string): Promise<ObservedAuthority>;
  /**
   * Replaces the CA's certificate of fingerprint `replaces` by one with the same name and key and a new life, so that all
   * it has signed stays valid. Returns the present one when it is a later one already.
   */
  renewAuthority(replaces: string): Promise<ObservedAuthority>;
  /**
   * Issues, or returns the present one when it answers the request. Never for longer than the CA lives.
   * @throws HaplanError `pki/authority-expired`, `pki/authority-key-missing`
   */
  issue(request: CertificateRequest): Promise<ObservedCertificate>;
  /** @throws HaplanError `pki/unknown-certificate` */
  material(name: string): Promise<TlsMaterial>;
  /**
   * What haplan shows the members: its own certificate or, where that is no use any more, one that the CA signs for the
   * occasion and that is written nowhere.
   * @throws HaplanError `pki/not-authenticated` saying which file is missing or has expired
   */
  clientMaterial(): Promise<TlsMaterial>;
  /** Forgets one certificate and its key; no error when there is none. */
  removeCertificate(name: string): Promise<void>;
  /** Removes the CA, all certificates and their keys. */
  removeAuthority(): Promise<void>;
};
