/** The credentials of a TLS connection. */
export type TlsMaterial = {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** The certificate for peers, if it is a separate one. */
  readonly peer?: Omit<TlsMaterial, "peer">;
  /**
   * SHA-256 fingerprints of server certificates that are accepted although they have expired. Only haplan uses this,
   * and only for certificates of its own cluster, because it has to reach the members to renew them.
   */
  readonly acceptedExpired?: readonly string[];
};
