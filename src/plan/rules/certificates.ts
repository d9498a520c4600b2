/**
 * Certificates as resources: issued if missing, renewed before they expire, and issued again if the cluster does not
 * trust them. Whether one is valid depends on the moment of the plan, never on a clock.
 */

import { canonicalJson } from "../../base/canonical-json.ts";
import {
  certificateLifetimeDays,
  certificateValidity,
  dayOf,
  isRenewalDue,
  validityText,
} from "../certificate-validity.ts";
import { asRequested, type ChangeReason, reasonText, renewalDue } from "../change-reason.ts";
import type { ClusterView } from "../cluster-view.ts";
import { createsAuthority, type DesiredResource } from "../desired-resources.ts";
import type { ObservedAuthority, ObservedCertificate } from "../observed-cluster.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Planning } from "../planning.ts";
import { signingKeyFault } from "../signing-key.ts";
import type { StateResource } from "../state.ts";
import { planReplacement } from "./authority-replacement.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";
import { isRequested } from "./requested-replacements.ts";

type Reason = {
  readonly action: "create" | "update";
  readonly text: ChangeReason | null;
  /** The current one is still usable: without the authority's key it can stay for now. */
  readonly canWait: boolean;
};

type Due = {
  readonly resource: DesiredResource;
  readonly reason: Reason;
  readonly found: ObservedCertificate | undefined;
};

/**
 * Returns the certificates that are to be handed to their units, by name, each with the id of the step that issues it;
 * units with other names already have theirs.
 */
export function planCertificates(planning: Planning): IssuedCertificates {
  const { desired, view, builder } = planning;
  const { authority, certificates } = planning.observed;
  const found = new Map(certificates.map((certificate) => [certificate.name, certificate]));
  const replacement = planReplacement(planning);
  const renewal = replacement?.leaves == null ? authorityRenewal(planning) : null;
  const replaced = replacement?.leaves == null ? null : update(replacement.leaves);
  const due: Due[] = [];
  for (const resource of desired) {
    if (resource.type !== "haplan_certificate") continue;
    const present = found.get(resource.name);
    const reason = whyIssue(planning, resource, present) ?? renewal?.leaves ?? replaced;
    const known = view.resources.get(resource.address);
    if (present !== undefined) noteCertificateDrift(resource, present, known, reason, builder);
    if (reason !== null) due.push({ resource, reason, found: present });
  }
  if (
    authority !== null &&
    authority.signingKey !== "present" &&
    replaced === null &&
    planning.spec.controlPlane.tls.adopted === undefined
  ) {
    withoutKey(authority, due, builder);
    return new Map(behind(found, view).map((name) => [name, null]));
  }
  warnExpired(planning, due);
  warnOfAdoptedAuthority(planning);
  const own = replaced === null ? planAuthority(planning, renewal) : null;
  const authoritySteps = [own, ...(replacement?.after ?? [])];
  const issued = new Map<string, string | null>(
    due.map((each) => [each.resource.name, issue(each, authoritySteps, builder)]),
  );
  for (const name of behind(found, view)) if (!issued.has(name)) issued.set(name, null);
  return issued;
}

/** Units with other certificates than the current ones, as left by an apply that was interrupted. */
function behind(found: ReadonlyMap<string, ObservedCertificate>, view: ClusterView): readonly string[] {
  return [...view.resources.values()].flatMap(({ type, name, attributes }) => {
    const carries = type === "haplan_agent" || type === "haplan_worker" || type === "haplan_load_balancer";
    const present = found.get(name)?.fingerprint;
    const carried = attributes["certificate"];
    return carries && present !== undefined && carried !== undefined && carried !== present ? [name] : [];
  });
}

function issue(
  { resource, reason, found }: Due,
  authoritySteps: readonly (string | null)[],
  builder: PlanBuilder,
): string | null {
  builder.setAction(resource.address, reason.action, reason.text);
  return builder.add(
    {
      kind: "issueCertificate",
      name: resource.name,
      profile: resource.attributes["profile"] === "member" ? "member" : "client",
      commonName: String(resource.attributes["commonName"]),
      subjectAltNames: resource.attributes["subjectAltNames"] as readonly string[],
      ...(found === undefined ? {} : { replaces: found.fingerprint }),
    },
    [resource.address],
    authoritySteps,
  );
}

function update(text: ChangeReason, canWait = false): Reason {
  return { action: "update", text, canWait };
}

function whyIssue(
  planning: Planning,
  resource: DesiredResource,
  found: ObservedCertificate | undefined,
): Reason | null {
  const { view, nowMs, spec } = planning;
  if (found === undefined) {
    const text = view.resources.has(resource.address) ? "its files are missing" : null;
    return { action: "create", text, canWait: false };
  }
  if (found.signedByPrevious === true) return update("it was signed by the previous authority");
  if (!found.trusted) return update("it was signed by another authority");
  const { status } = certificateValidity(found, nowMs);
  if (status !== "valid") return update(renewalDue(validityText(found, nowMs)));
  if (found.profile !== resource.attributes["profile"]) return update("its key usage has changed");
  const wanted = [...(resource.attributes["subjectAltNames"] as readonly string[])].sort();
  if (canonicalJson(wanted) !== canonicalJson([...found.subjectAltNames].sort())) {
    return update("its names have changed");
  }
  if (isRequested(planning, resource.address)) return update(asRequested);
  // If the authority expires as early, a new certificate gains nothing: the authority is renewed first.
  return isRenewalDue(found, nowMs, spec.policy.renewBeforeDays) && !found.endsWithAuthority
    ? update(renewalDue(validityText(found, nowMs)), true)
    : null;
}

/** Differences from the state that haplan has not made. */
function noteCertificateDrift(
  { address }: DesiredResource,
  found: ObservedCertificate,
  known: StateResource | undefined,
  reason: Reason | null,
  builder: PlanBuilder,
): void {
  const before = known?.attributes["fingerprint"];
  if (before === undefined || before === found.fingerprint) return;
  const { fingerprint, notAfter } = found;
  builder.drift.push({
    address,
    action: "update",
    reason:
      found.trusted || found.signedByPrevious === true
        ? "it was replaced outside of haplan"
        : "it was replaced by one of another authority",
    before: { fingerprint: before, notAfter: known?.attributes["notAfter"] ?? null },
    after: { fingerprint, notAfter },
  });
  // An equally valid one is kept, and recorded in the state.
  if (reason === null) builder.facts.set(address, { fingerprint, notAfter });
}

/** Nothing can be signed: what can be postponed is postponed, with a warning. */
function withoutKey(authority: ObservedAuthority, due: readonly Due[], builder: PlanBuilder): void {
  const fault = signingKeyFault(authority);
  const list = (some: readonly Due[]): string =>
    some
      .map(({ resource, reason }) => `${resource.name}${reason.text === null ? "" : ` (${reasonText(reason.text)})`}`)
      .join(", ");
  const urgent = due.filter(({ reason }) => !reason.canWait);
  if (urgent.length > 0) {
    builder.refuse(
      "plan/authority-key-missing",
      `${urgent.length === 1 ? "A certificate has" : `${urgent.length} certificates have`} to be signed, but ${fault}`,
      `To be signed: ${list(urgent)}. Restore the authority's key for plan and apply. Plans that sign nothing do not need it.`,
    );
  } else if (due.length > 0) {
    builder.warn(
      "plan/renewal-without-key",
      `${due.length === 1 ? "A certificate is" : `${due.length} certificates are`} due for renewal, but ${fault}`,
      `Not renewed: ${list(due)}. Restore the authority's key for plan and apply.`,
    );
  }
}

function warnExpired({ nowMs, builder }: Planning, due: readonly Due[]): void {
  const expired = due.filter(
    ({ found }) => found !== undefined && certificateValidity(found, nowMs).status === "expired",
  );
  if (expired.length === 0) return;
  const names = expired.map(({ resource }) => resource.name).join(", ");
  builder.warn(
    "plan/certificates-expired",
    `${expired.length === 1 ? "A certificate has" : `${expired.length} certificates have`} expired: ${names}`,
    "Members and clients reject new connections with an expired certificate. Applying this plan issues new certificates and distributes them.",
  );
}

/** An authority that haplan did not create is renewed by the operator. */
function warnOfAdoptedAuthority({ spec, observed, nowMs, builder }: Planning): void {
  const { authority } = observed;
  if (createsAuthority(spec) || !spec.controlPlane.tls.enabled || authority === null) return;
  if (certificateValidity(authority, nowMs).daysLeft >= spec.policy.renewBeforeDays) return;
  builder.warn(
    "plan/adopted-authority-ends",
    `The members' certificate authority ${validityText(authority, nowMs)}`,
    `haplan did not create ${authority.directory} and does not renew it. Certificates that it signs cannot be valid longer.`,
  );
}

type AuthorityRenewal = { readonly text: ChangeReason; readonly replaces: string; readonly leaves: Reason };

/**
 * The authority's own certificate is renewed once certificates that it signs would outlive it. Its key stays, so that
 * old and new certificates are valid under both. If it has expired, so have all others.
 */
function authorityRenewal({ observed, nowMs, desired }: Planning): AuthorityRenewal | null {
  const { authority } = observed;
  if (authority === null || !desired.some(({ type }) => type === "haplan_ca")) return null;
  const { status, daysLeft } = certificateValidity(authority, nowMs);
  if (status === "valid" && daysLeft >= certificateLifetimeDays) return null;
  const leaves: Reason = { action: "update", text: "the authority's certificate is renewed", canWait: true };
  return { text: `it ${validityText(authority, nowMs)}`, replaces: authority.fingerprint, leaves };
}

function planAuthority(
  { observed, nowMs, desired, builder }: Planning,
  renewal: AuthorityRenewal | null,
): string | null {
  const resource = desired.find(({ type }) => type === "haplan_ca");
  if (resource === undefined) return null;
  if (observed.authority === null) {
    builder.setAction(resource.address, "create");
    return builder.add({ kind: "createAuthority" }, [resource.address]);
  }
  if (renewal === null) {
    const { fingerprint, notAfter } = observed.authority;
    builder.facts.set(resource.address, { fingerprint, notAfter });
    return null;
  }
  builder.setAction(resource.address, "update", renewal.text);
  const until = dayOf(observed.authority.notAfter);
  const expired = certificateValidity(observed.authority, nowMs).status === "expired";
  builder.warn(
    "plan/authority-renewed",
    `The certificate authority ${validityText(observed.authority, nowMs)}: its certificate is renewed`,
    `Its name and key stay. Clients with a copy of ca.crt need the new one ${expired ? "now" : `before ${until}`}.`,
  );
  return builder.add({ kind: "renewAuthority", replaces: renewal.replaces }, [resource.address]);
}
