/** Inputs of later rules: the named results of earlier ones. */
import type { Planning } from "../planning.ts";
import type { Endpoint } from "./endpoint.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";
import type { MasterChanges } from "./masters.ts";

export type WithCertificates = Planning & {
  readonly certificates: IssuedCertificates;
  readonly endpoint: Endpoint;
};

/** For a formed cluster. */
export type WithMasters = WithCertificates & { readonly masterChanges: MasterChanges };
