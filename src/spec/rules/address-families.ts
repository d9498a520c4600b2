/**
 * Members with addresses of both families. Each of them accepts a peer only from an address, or a host that resolves to one, in the
 * peer's certificate; a host connects to an address of the other family from another address than the one that the spec has for it.
 */
import { type AddressFamily, familyOf } from "../../base/ip-address.ts";
import type { HostDraft } from "../draft.ts";
import { findingAt } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";
import type { SpecRule } from "./rule.ts";

type Judged = LocatedValue<string> & { readonly label: string; readonly family: AddressFamily };

/** Of names nothing is known here, nor of members that are adopted, whose certificates are not haplan's. */
export const checkAddressFamilies: SpecRule = ({ controlPlane, masters, hosts }) => {
  const { tls, adopt } = controlPlane?.entries ?? {};
  if (tls?.entries.enabled.value !== true || adopt != null) return [];
  const names = (tls.entries.extraNames?.items ?? []).flatMap((name) => (name === null ? [] : [name.value]));
  if (coversFamilies(names)) return [];
  const spares = hosts.filter(({ kind }) => kind === "spare host");
  const judged = [...(masters?.hosts ?? []), ...spares].flatMap(judge);
  const [first] = judged;
  const [least, most] = [
    judged.filter(({ family }) => family === "IPv6"),
    judged.filter(({ family }) => family === "IPv4"),
  ].sort((a, b) => a.length - b.length || Number(a[0] === first) - Number(b[0] === first));
  const [odd] = least ?? [];
  const [other] = most ?? [];
  if (odd === undefined || other === undefined) return [];
  const summary = `${odd.label} has the ${odd.family} address ${odd.value}, and ${other.label} the ${other.family} address ${other.value}`;
  return [findingAt(odd.pointer, { code: "spec/address-families", summary, detail: advice })];
};

const advice =
  "A member accepts a peer only from the addresses in the peer's certificate, and a host connects to the other family from another address than this one. Write addresses of one family for all masters. If all hosts have both, write their other addresses, or names that resolve to them on all hosts, in controlPlane.tls.extraNames.";

/** Whether certificates may hold what each host has in the other family: a name may resolve to anything. */
export function coversFamilies(extraNames: readonly string[]): boolean {
  const families = new Set(extraNames.map(familyOf));
  return families.has(null) || families.size === 2;
}

function judge({ kind, name, address }: HostDraft): readonly Judged[] {
  // The first addresses of IPv6 are of no network: another rule says that such a one leads nowhere else.
  const family = address === null || address.value.startsWith("::") ? null : familyOf(address.value);
  if (address === null || family === null) return [];
  return [
    { ...address, family, label: `${kind === "master" ? "master" : "spare host"} ${name?.value ?? address.value}` },
  ];
}
