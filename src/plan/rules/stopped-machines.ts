/**
 * Changes of a master's machine for which its agent stops, such as another type: the member is the same one afterwards, with
 * its data. It is down meanwhile, as for a restart.
 */
import type { DesiredResource } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import { certificateSteps } from "./agent-certificates.ts";
import { agentStart } from "./agent-start.ts";
import { changedAttributes, describedAttributes, haveChanged, machineAddress } from "./machines.ts";
import { planBackup } from "./membership.ts";
import type { WithCertificates } from "./stages.ts";

/** Attributes of the master's machine that have changed, and for which its agent stops. */
export function changedWhileStopped({ desired, view }: Planning, name: string): readonly string[] {
  const machine = desired.find(({ address }) => address === machineAddress(name));
  if (machine === undefined || !view.machines.has(name)) return [];
  return changedAttributes(machine, machine.whileStopped.names, view);
}

/** `start`: the step that starts the agent again. */
export type StoppedChange = {
  readonly name: string;
  readonly changed: readonly string[];
  readonly start: "restartAgent" | "updateAgent";
};

/** The agent has been handed over and withdrawn before. It is not healthy again yet: that is waited for afterwards. */
export function planStoppedChange(planning: WithCertificates, { name, changed, start }: StoppedChange): void {
  const { desired, certificates, builder } = planning;
  const machine = desired.find(({ address }) => address === machineAddress(name)) as DesiredResource;
  const agent = resourceAddress("haplan_agent", name);
  planBackup(planning);
  builder.setRenewal(machine.address, `${haveChanged(changed)}, with its data kept`, machine.whileStopped.renews);
  if (builder.reasonFor(agent) === null) builder.setAction(agent, "update", "its machine changes");
  builder.chain({ kind: "stopAgent", member: name }, [agent]);
  const attributes = describedAttributes(machine);
  builder.chain({ kind: "updateMachine", machine: name, attributes, agentStopped: true }, [machine.address]);
  builder.chain(agentStart(planning, name, start), [agent], certificateSteps(name, certificates));
}
