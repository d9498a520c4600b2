/** Existing machines that change in place, as far as the provider can do that while they run. */

import type { DesiredResource } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { type Attributes, resourceAddress } from "../resource.ts";
import { isUntargeted } from "./left-out-masters.ts";
import {
  changedAttributes,
  describedAttributes,
  haveChanged,
  itsNamed,
  presentAttributes,
  recordedAttributes,
} from "./machines.ts";

/** Masters one at a time, after all other changes of the membership; the others in parallel. */
export function planMachineUpdates(planning: Planning): void {
  const { desired, view, builder } = planning;
  for (const machine of desired) {
    if (machine.type !== "haplan_machine" || !view.machines.has(machine.name)) continue;
    if (builder.actions.has(machine.address)) continue;
    noteMachineDrift(planning, machine);
    if (isUntargeted(planning, machine.name)) continue;
    const { names: stopping } = machine.whileStopped;
    // They are changed with an agent that has stopped, or by a later plan.
    const running = machine.changedInPlace.filter((name) => !stopping.includes(name));
    const changed = changedAttributes(machine, running, view);
    if (changed.length === 0) continue;
    builder.setAction(machine.address, "update", haveChanged(changed));
    const action = {
      kind: "updateMachine",
      machine: machine.name,
      attributes: { ...without(describedAttributes(machine), stopping), ...presentAttributes(machine, stopping, view) },
    } as const;
    const isMaster = view.resources.has(resourceAddress("haplan_raft_member", machine.name));
    if (isMaster) builder.chain(action, [machine.address]);
    else builder.add(action, [machine.address]);
  }
}

function without(attributes: Attributes, names: readonly string[]): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !names.includes(name)));
}

/** Attributes that were observed with other values than they were created with. */
function noteMachineDrift({ view, builder }: Planning, machine: DesiredResource): void {
  const found = view.machines.get(machine.name)?.attributes ?? {};
  const known = recordedAttributes(machine, view);
  const names = changedAttributes({ ...machine, attributes: known }, Object.keys(found), view);
  if (names.length === 0) return;
  const pick = (from: Attributes): Attributes => Object.fromEntries(names.map((name) => [name, from[name] ?? null]));
  builder.drift.push({
    address: machine.address,
    action: "update",
    reason: `${itsNamed(names)} ${names.length === 1 ? "was" : "were"} changed outside of haplan`,
    before: pick(known),
    after: pick(found),
  });
}
