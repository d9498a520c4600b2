/** What of the instances that exist forbids a change, found before anything is stopped. Pure. */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText } from "../../base/haplan-error.ts";
import type { MachineIdentity } from "../provider.ts";
import type { RecordedMachine } from "../provider-options.ts";
import type { FoundInstance } from "./instances.ts";
import { otherDataVolume, otherVolumeError } from "./own-volumes.ts";

export type PresentMachines = {
  readonly recorded: readonly RecordedMachine[];
  /** Instances of the cluster's name that are not terminated. */
  readonly instances: readonly FoundInstance[];
};

type Own = { readonly instance: FoundInstance; readonly recorded: RecordedMachine };

/** The machines of the state, each with its instance. */
function ownOf({ recorded, instances }: PresentMachines): readonly Own[] {
  return instances.flatMap((instance): Own[] => {
    const machine = recorded.findLast(({ attributes }) => attributes["instance_id"] === instance.id);
    return machine === undefined ? [] : [{ instance, recorded: machine }];
  });
}

/** A master with another data volume is not changed. It may be replaced: `machines` has it with the next generation then. */
export function otherVolumes(present: PresentMachines, machines: readonly MachineIdentity[]): readonly Diagnostic[] {
  return ownOf(present).flatMap(({ instance, recorded: { name, generation, attributes } }): Diagnostic[] => {
    const recorded = attributes["volume_id"];
    const isReplaced = machines.some((machine) => machine.name === name && machine.generation > generation);
    if (typeof recorded !== "string" || isReplaced) return [];
    const other = otherDataVolume(instance, recorded);
    if (other === null) return [];
    const error = otherVolumeError(instance, { present: other, recorded });
    const [summary = "", ...detail] = errorText(error).split("\n");
    return [
      { severity: "error", code: error.code, summary, detail: detail.join("\n"), address: `haplan_machine.${name}` },
    ];
  });
}

/** A load balancer, its target group and security groups belong to one VPC for as long as they exist. */
export function otherVpc(present: PresentMachines, vpcId: string): readonly Diagnostic[] {
  const found = ownOf(present).find(({ instance }) => instance.vpcId !== "" && instance.vpcId !== vpcId);
  if (found === undefined) return [];
  const { vpcId: formerId } = found.instance;
  const former = String(found.recorded.attributes["vpc"] ?? formerId);
  return [
    {
      severity: "error",
      code: "aws/other-vpc",
      summary: `The spec names the VPC ${vpcId}, but the cluster is in ${formerId}`,
      detail: `A cluster is not moved to another VPC: its load balancer, target group and security groups belong to ${formerId}. Write \`vpc: ${former}\`. For a cluster in ${vpcId}, write another metadata.name, restore a backup of this cluster there, and destroy this one then.`,
      inSpec: { machine: null, key: "vpc" },
    },
  ];
}
