/** Remaining validity of a certificate at a given moment, shared by plan, status and PKI. */

export type ValidityDates = { readonly notBefore: string; readonly notAfter: string };

export type CertificateValidity = {
  readonly status: "valid" | "expired" | "notYetValid";
  /** Whole days until it expires; negative once it has expired. */
  readonly daysLeft: number;
};

export const msPerDay = 86_400_000;
/** Certificates issued by haplan are valid for a year, or as long as their authority if that is shorter. */
export const certificateLifetimeDays = 365;

/** `nowMs` in milliseconds since the epoch. The last moment counts as valid (RFC 5280 §4.1.2.5). */
export function certificateValidity({ notBefore, notAfter }: ValidityDates, nowMs: number): CertificateValidity {
  const endMs = Date.parse(notAfter);
  const daysLeft = Math.floor((endMs - nowMs) / msPerDay);
  if (nowMs < Date.parse(notBefore)) return { status: "notYetValid", daysLeft };
  return { status: nowMs > endMs ? "expired" : "valid", daysLeft };
}

/**
 * A certificate that an external authority has issued for a short time is renewed in the last third of it: by the days
 * alone it would be due as soon as it is issued.
 */
export function isRenewalDue(dates: ValidityDates, nowMs: number, renewBeforeDays: number): boolean {
  const endMs = Date.parse(dates.notAfter);
  return endMs - nowMs < Math.min(renewBeforeDays * msPerDay, (endMs - Date.parse(dates.notBefore)) / 3);
}

/** `expires in 12 days, on 2027-01-01`, `expired 3 days ago, on 2026-11-26`, `is not valid before 2026-12-01`. */
export function validityText(dates: ValidityDates, nowMs: number): string {
  const { status, daysLeft } = certificateValidity(dates, nowMs);
  if (status === "notYetValid") return `is not valid before ${dayOf(dates.notBefore)}`;
  if (status === "valid") return `expires in ${days(daysLeft)}, on ${dayOf(dates.notAfter)}`;
  return `expired ${days(-daysLeft - 1)} ago, on ${dayOf(dates.notAfter)}`;
}

/** The day of an ISO 8601 date, in UTC. */
export function dayOf(date: string): string {
  return date.slice(0, 10);
}

function days(count: number): string {
  return count === 0 ? "less than a day" : `${count} ${count === 1 ? "day" : "days"}`;
}
