/** Which certificate a unit was given: later plans tell from it whether the unit has what is in the directory now. */
import { resourceAddress } from "../plan/resource.ts";
import type { UnitBlueprint } from "../units/unit-blueprint.ts";
import type { StepOutputs } from "./state-edits.ts";
import type { StateKeeper } from "./state-keeper.ts";

/** Empty where the state knows of none: TLS is off, or the certificate is the user's. */
export function carriedCertificate(keeper: StateKeeper, { certificate }: UnitBlueprint): StepOutputs {
  if (certificate === null) return {};
  const known = keeper.find(resourceAddress("haplan_certificate", certificate))?.attributes["fingerprint"];
  return typeof known === "string" ? { certificate: known } : {};
}
