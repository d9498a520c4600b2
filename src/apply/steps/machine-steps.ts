/** Machines: made with the lineage and generation by which they are found again, removed with all that is on them. */
import type { StepAction } from "../../plan/step.ts";
import type { StepFacts } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

type Of<Kind extends StepAction["kind"]> = StepAction & { readonly kind: Kind };

export async function createMachine(context: StepContext, action: Of<"createMachine">): Promise<StepFacts> {
  await context.ports.provider.createMachine({
    name: action.machine,
    address: action.address,
    zone: action.zone,
    lineage: context.keeper.state.lineage,
    generation: action.generation,
  });
  return {};
}

export async function destroyMachine(context: StepContext, action: Of<"destroyMachine">): Promise<StepFacts> {
  await context.ports.provider.destroyMachine(action.machine);
  return {};
}
