/** What an instance of a machine needs, created where it is missing. */
import type { Attributes } from "../../plan/resource.ts";
import type { MachineIdentity } from "../provider.ts";
import type { AwsContext } from "./aws-context.ts";
import type { NewInstance } from "./create-instance.ts";
import { groupOf } from "./instance-groups.ts";
import { resolveImage } from "./machine-image.ts";
import { subnetOf } from "./network.ts";
import { ensurePlacementGroup } from "./placement-groups.ts";
import type { RecordedMachines } from "./recorded-machines.ts";
import type { SharedObjects } from "./shared-objects.ts";

export type InstanceParts = {
  readonly context: AwsContext;
  readonly recorded: RecordedMachines;
  readonly shared: SharedObjects;
};

export async function wantedInstance(
  { context, recorded, shared }: InstanceParts,
  { name, address, zone, lineage, generation }: MachineIdentity,
  attributes: Attributes,
  signal?: AbortSignal,
): Promise<Omit<NewInstance, "volumeId">> {
  const subnet = subnetOf(await shared.network(signal), { name, address, zone });
  const groups = await shared.ensureGroups(lineage, signal);
  const group = attributes["placement_group"];
  if (typeof group === "string") await ensurePlacementGroup(context, lineage, group, signal);
  const ami = await resolveImage(context, String(attributes["image"]), recorded.all(), signal);
  const groupId = groupOf(attributes, groups);
  return { machine: name, lineage, generation, address, subnetId: subnet.id, ami, groupId, attributes };
}
