/** The authorities that members and clients trust: more than one while an authority is being replaced. */
import type { ObservedAuthority } from "./observed-cluster.ts";
import type { Attributes } from "./resource.ts";

/** Fingerprints, sorted. */
export function trustedFingerprints({ fingerprint, next, previous = [] }: ObservedAuthority): readonly string[] {
  return [
    fingerprint,
    ...(next === undefined ? [] : [next.fingerprint]),
    ...previous.map((each) => each.fingerprint),
  ].sort();
}

/**
 * Whether a unit was given exactly these authorities; `recorded` are its attributes in the state. Units record them from
 * the first replacement on: until then they trust the only one.
 */
export function trustsExactly(recorded: Attributes | undefined, fingerprints: readonly string[]): boolean {
  const trusted = recorded?.["trusts"];
  return Array.isArray(trusted) ? trusted.join() === fingerprints.join() : fingerprints.length === 1;
}

/** `demo haplan CA 2` after `demo haplan CA`: the two have different names, so that no verifier mistakes one for the other. */
export function nextAuthorityCommonName(commonName: string): string {
  const [, base = commonName, number = "1"] = /^(.*?)(?: (\d+))?$/.exec(commonName) ?? [];
  return `${base} ${Number(number) + 1}`;
}
