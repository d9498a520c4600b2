/** The credentials of a TLS client. PEM. */
export type TlsCredentials = {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /**
   * SHA-256 fingerprints of server certificates that are accepted although they have expired. Only haplan uses this,
   * and only for certificates of its own cluster, because it has to reach the members to renew them.
   */
  readonly acceptedExpired?: readonly string[];
};
