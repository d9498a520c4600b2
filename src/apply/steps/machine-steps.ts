/** Machines: created with the lineage and generation that identify them, removed with everything on them. */

import type { StepAction } from "../../plan/step.ts";
import type { MachineRef } from "../../providers/provider.ts";
import { unknownAddresses } from "../../spec/address-reference.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

type Of<Kind extends StepAction["kind"]> = StepAction & { readonly kind: Kind };

export function machineRef(name: string, generation: number | undefined): MachineRef {
  return generation === undefined ? name : { name, generation };
}

export async function createMachine(context: StepContext, action: Of<"createMachine">): Promise<StepOutputs> {
  const { machine, address, zone, generation, attributes = {}, deposes } = action;
  const { lineage } = context.keeper.state;
  const beside = deposes === undefined ? {} : { beside: deposes };
  const known = unknownAddresses(address).length === 0 ? address : null;
  const wanted = { name: machine, address: known, zone, lineage, generation, attributes, ...beside };
  return await context.ports.provider.createMachine(wanted, context.signal);
}

export async function updateMachine(context: StepContext, action: Of<"updateMachine">): Promise<StepOutputs> {
  const { machine, attributes, agentStopped = false } = action;
  return await context.ports.provider.updateMachine(machine, { attributes, agentStopped }, context.signal);
}

export async function renameMaster(context: StepContext, { from, to }: Of<"renameMaster">): Promise<StepOutputs> {
  await context.ports.provider.renameMachine(from, to, context.signal);
  return {};
}

export async function destroyMachine(context: StepContext, action: Of<"destroyMachine">): Promise<StepOutputs> {
  await context.ports.provider.destroyMachine(machineRef(action.machine, action.generation), context.signal);
  return {};
}
