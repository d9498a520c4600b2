/** Records which certificate a unit was given: later plans compare it with the one in the directory. */
import { resourceAddress } from "../plan/resource.ts";
import type { UnitBlueprint } from "../units/unit-blueprint.ts";
import type { StepOutputs } from "./state-edits.ts";
import type { StateKeeper } from "./state-keeper.ts";

/** Empty if the state has none: TLS is off, or the user provides the certificate. */
export function carriedCertificate(keeper: StateKeeper, { certificate }: UnitBlueprint): StepOutputs {
  if (certificate === null) return {};
  const known = keeper.find(resourceAddress("haplan_certificate", certificate))?.attributes["fingerprint"];
  return typeof known === "string" ? { certificate: known } : {};
}
