import type { TlsCredentials } from "../base/tls-credentials.ts";

/** The credentials that a cluster's authority gives haplan, or a machine. */
export type TlsMaterial = TlsCredentials & {
  /** The certificate for peers, if it is a separate one. */
  readonly peer?: TlsCredentials;
};
