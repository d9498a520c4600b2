/** What must hold of the certificate authority before anything is planned: members trust only what it has signed. */

import { certificateValidity } from "../certificate-validity.ts";
import type { ObservedAuthority } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";

export function checkAuthority(planning: Planning): void {
  const { world, draft, spec, observed, nowMs } = planning;
  if (world.phase !== "formed" || !spec.controlPlane.tls.enabled) return;
  const address = resourceAddress("haplan_ca", spec.name);
  const unauthenticated = observed.problems.find((problem) => problem.notAuthenticated);
  if (observed.authority === null) {
    draft.refuse(
      "plan/authority-gone",
      "The certificate authority of this cluster is gone",
      `${unauthenticated === undefined ? "" : `haplan ${unauthenticated.message}. `}The members trust only certificates that it signed. Put its files back from a backup; a new one cannot join them.`,
      address,
    );
    return;
  }
  if (isAnother(planning, observed.authority)) {
    draft.refuse(
      "plan/authority-replaced",
      "What the members trust is not this certificate authority",
      `ca.crt in ${observed.authority.directory} has not signed the certificates that this cluster has. Certificates of this one would be refused by every member, worker and client. Put the earlier ca.crt and ca.key back.`,
      address,
    );
    return;
  }
  // With the authority itself at its end no connection can be made: its renewal is the way out, and needs none.
  const expired = certificateValidity(observed.authority, nowMs).status === "expired";
  if (unauthenticated === undefined || expired) return;
  draft.refuse(
    "plan/cannot-authenticate",
    "The members cannot be asked how they are",
    `haplan ${unauthenticated.message}. Without an answer, members that run could be taken for dead. Put the file back.`,
  );
}

/**
 * An authority whose certificate was renewed has signed what the cluster has, under the same key; one that was put in its
 * place has not.
 */
function isAnother({ spec, observed, world }: Planning, authority: ObservedAuthority): boolean {
  const known = world.resources.get(resourceAddress("haplan_ca", spec.name))?.attributes["fingerprint"];
  if (typeof known !== "string" || known === authority.fingerprint) return false;
  return !observed.certificates.some((certificate) => {
    const recorded = world.resources.get(resourceAddress("haplan_certificate", certificate.name));
    return certificate.trusted && recorded?.attributes["fingerprint"] === certificate.fingerprint;
  });
}
