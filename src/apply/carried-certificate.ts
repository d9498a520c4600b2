/** Records which certificate and which authorities a unit was given: later plans compare them with those in the directory. */
import type { Authority } from "../pki/authority-port.ts";
import { type ResourceAddress, resourceAddress } from "../plan/resource.ts";
import { trustedFingerprints } from "../plan/trusted-authorities.ts";
import type { UnitBlueprint } from "../units/unit-blueprint.ts";
import type { StepOutputs } from "./state-edits.ts";
import type { StateKeeper } from "./state-keeper.ts";

type Carrying = { readonly keeper: StateKeeper; readonly ports: { readonly authority: Authority } };

/** Empty if TLS is off, or the user provides the certificate. */
export async function carriedCertificate(
  { keeper, ports }: Carrying,
  unit: ResourceAddress,
  { certificate }: UnitBlueprint,
): Promise<StepOutputs> {
  if (certificate === null) return {};
  const known = keeper.find(resourceAddress("haplan_certificate", certificate))?.attributes["fingerprint"];
  const { authority } = await ports.authority.observe();
  const trusts = authority === null ? [] : trustedFingerprints(authority);
  const recorded = keeper.find(unit)?.attributes["trusts"] !== undefined;
  return {
    ...(typeof known === "string" ? { certificate: known } : {}),
    ...(trusts.length > 1 || recorded ? { trusts } : {}),
  };
}
