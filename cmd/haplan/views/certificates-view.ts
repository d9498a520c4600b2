/** The lines of `haplan status` about certificates: one if all are valid, and one for each that is not. */
import { dayOf } from "../../../src/plan/certificate-validity.ts";
import type { CertificateStatus } from "../certificate-status.ts";
import type { Paint } from "../paint.ts";

export function certificateLines(certificates: readonly CertificateStatus[], paint: Paint): readonly string[] {
  if (certificates.length === 0) return [];
  const valid = certificates.filter(({ status }) => status === "valid" || status === "renewalDue");
  const [first] = [...valid].sort((a, b) => a.daysLeft - b.daysLeft);
  const ends =
    first === undefined
      ? ""
      : `; the first to expire is ${first.name}, in ${first.daysLeft} days, on ${dayOf(first.notAfter)}`;
  return [
    `Certificates: ${valid.length} of ${certificates.length} valid${ends}`,
    ...certificates.filter(({ status }) => status !== "valid").map((each) => faultLine(each, paint)),
  ];
}

function faultLine({ name, status, notAfter, daysLeft }: CertificateStatus, paint: Paint): string {
  switch (status) {
    case "expired":
      return paint.red(`Certificate ${name}: expired on ${dayOf(notAfter)}`);
    case "untrusted":
      return paint.red(`Certificate ${name}: signed by another authority`);
    case "notYetValid":
      return paint.red(`Certificate ${name}: not valid yet`);
    default:
      return paint.yellow(
        `Certificate ${name}: expires in ${daysLeft} days, on ${dayOf(notAfter)}; the next apply renews it`,
      );
  }
}
