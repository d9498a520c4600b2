/** What a TLS connection is opened with. */
export type TlsMaterial = {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** What a member shows its peers, when that is something else. */
  readonly peer?: Omit<TlsMaterial, "peer">;
  /**
   * SHA-256 fingerprints of servers' certificates that are accepted although they have expired. haplan alone does so, and
   * only for certificates of its own cluster: how else would it reach the members to renew them?
   */
  readonly acceptedExpired?: readonly string[];
};
