/** Preconditions on the certificate authority: members trust only certificates that it signed. */

import { certificateValidity } from "../certificate-validity.ts";
import type { ObservedAuthority } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";

export function checkAuthority(planning: Planning): void {
  const { view, builder, spec, observed, nowMs } = planning;
  if (view.phase !== "formed" || !spec.controlPlane.tls.enabled) return;
  const address = resourceAddress("haplan_ca", spec.name);
  const unauthenticated = observed.problems.find((problem) => problem.notAuthenticated);
  if (observed.authority === null) {
    builder.refuse(
      "plan/authority-gone",
      "The certificate authority of this cluster is missing",
      `${unauthenticated === undefined ? "" : `haplan ${unauthenticated.message}. `}The members trust only certificates that it signed. Restore its files from a backup; members do not trust a new one.`,
      address,
    );
    return;
  }
  if (isAnother(planning, observed.authority)) {
    builder.refuse(
      "plan/authority-replaced",
      "The members do not trust this certificate authority",
      `ca.crt in ${observed.authority.directory} did not sign the cluster's certificates. Every member, worker and client would reject certificates from it. Restore the earlier ca.crt and ca.key. To replace the authority, start with \`haplan certs rotate -ca\`.`,
      address,
    );
    return;
  }
  checkIssuer(planning, observed.authority);
  // If the authority itself has expired, no connection can be made: renewing it is the way out, and needs none.
  const expired = certificateValidity(observed.authority, nowMs).status === "expired";
  if (unauthenticated === undefined || expired) return;
  builder.refuse(
    "plan/cannot-authenticate",
    "The state of the members is unknown",
    `haplan ${unauthenticated.message}. Without an answer, running members could be mistaken for dead ones. Restore the file.`,
  );
}

/**
 * Members with certificates of an authority that was made elsewhere, since the files here were copied: what this plan takes for a
 * change from outside is the newer state of the cluster. While an authority is replaced here, its own steps tell.
 */
function checkIssuer({ mode, spec, observed, builder }: Planning, authority: ObservedAuthority): void {
  const isReplaced = authority.next !== undefined || (authority.previous ?? []).length > 0;
  if (mode !== "apply" || spec.controlPlane.tls.authority !== undefined || isReplaced) return;
  const foreign = (observed.presented ?? []).filter(({ port, foreignIssuer }) => port === "client" && foreignIssuer);
  if (foreign.length === 0) return;
  const names = foreign.map(({ master }) => master).join(", ");
  builder.refuse(
    "plan/authority-unknown",
    `${names} ${foreign.length === 1 ? "has a certificate" : "have certificates"} of an authority that is not in ${authority.directory}`,
    "The cluster's authority was replaced by a run with other files, such as a newer copy of this directory. This plan would take that back, and clients with the present ca.crt would be rejected. Run haplan where the authority was replaced, or restore its certificates and state here. If they are lost for good, `haplan certs rotate -ca` replaces the authority once more.",
  );
}

/** A renewed authority has signed the cluster's certificates with the same key; another authority has not. */
function isAnother({ spec, observed, view }: Planning, authority: ObservedAuthority): boolean {
  const known = view.resources.get(resourceAddress("haplan_ca", spec.name))?.attributes["fingerprint"];
  if (known === authority.fingerprint) return false;
  // haplan has replaced it, and was interrupted before it recorded that.
  if (authority.previous?.some(({ fingerprint }) => fingerprint === known) === true) return false;
  const recorded = observed.certificates.filter(({ name, fingerprint }) => {
    const certificate = view.resources.get(resourceAddress("haplan_certificate", name));
    return certificate?.attributes["fingerprint"] === fingerprint;
  });
  if (recorded.some(({ trusted }) => trusted)) return false;
  // The state has no authority of the operator's: only certificates can show that it is another one.
  return typeof known === "string" || (spec.controlPlane.tls.authority !== undefined && recorded.length > 0);
}
