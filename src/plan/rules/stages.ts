/** What rules get that come after others: the results of those, under their names. */
import type { Planning } from "../planning.ts";
import type { Endpoint } from "./endpoint.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";
import type { MastersOutlook } from "./masters.ts";

export type WithCertificates = Planning & {
  readonly certificates: IssuedCertificates;
  readonly endpoint: Endpoint;
};

/** Of a cluster that has been formed. */
export type WithMasters = WithCertificates & { readonly outlook: MastersOutlook };
