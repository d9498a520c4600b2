/** The table and the JSON of `haplan certs status`. */
import { dayOf } from "../../../src/plan/certificate-validity.ts";
import type { CertificateList, ListedCertificate } from "../certificate-list.ts";
import type { Paint } from "../paint.ts";
import { snakeKeys } from "./snake-keys.ts";
import { table } from "./table.ts";

export function certificateListToJson(list: CertificateList): object {
  return { format_version: "1.0", ...(snakeKeys(list) as object) };
}

export function renderCertificateList(list: CertificateList, paint: Paint): string {
  if (list.certificates.length === 0) return `There are no certificates of cluster "${list.cluster}".`;
  const rows = list.certificates.map((each) => [
    each.name,
    each.use,
    each.signedBy ?? paint.red("another authority"),
    dayOf(each.notAfter),
    String(each.daysLeft),
    each.renewedFrom === null ? "-" : dayOf(each.renewedFrom),
    statusText(each, paint),
    each.names.length === 0 ? "-" : each.names.join(" "),
  ]);
  return [
    paint.bold(`Certificates of cluster ${list.cluster}`),
    "",
    ...table(["NAME", "USE", "SIGNED BY", "EXPIRES", "DAYS LEFT", "RENEWED FROM", "STATUS", "NAMES"], rows, paint),
    "",
    ...(list.directory === null ? [] : [`Directory: ${list.directory}${keyText(list)}`]),
  ].join("\n");
}

function keyText({ signingKey }: CertificateList): string {
  if (signingKey === "missing") return ". It has no ca.key: nothing can be signed";
  return signingKey === "mismatched" ? ". Its ca.key is not the key of ca.crt: nothing can be signed" : "";
}

function statusText({ status }: ListedCertificate, paint: Paint): string {
  switch (status) {
    case "valid":
      return "valid";
    case "renewalDue":
      return paint.yellow("renewal due");
    case "expired":
      return paint.red("expired");
    case "notYetValid":
      return paint.red("not valid yet");
    case "untrusted":
      return paint.red("not trusted");
  }
}
