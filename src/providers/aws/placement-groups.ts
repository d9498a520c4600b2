/** Placement groups: the masters of one zone are kept on different racks. */

import { type AwsContext, ownerOf } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { ownerTags } from "./aws-names.ts";

/** Its name is unique in the region, so that a repeated call creates no second one. */
export async function ensurePlacementGroup(
  context: AwsContext,
  lineage: string,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  const Tags = [...ownerTags(ownerOf(context, lineage), name)];
  const input = {
    GroupName: name,
    Strategy: "spread" as const,
    TagSpecifications: [{ ResourceType: "placement-group" as const, Tags }],
  };
  const options = { purpose: `create the placement group ${name}`, signal };
  await context.client.call("CreatePlacementGroup", input, options).catch((error: unknown) => {
    if (causeCode(error) !== "InvalidPlacementGroup.Duplicate") throw error;
  });
}

/** Removes groups, once their instances are gone. */
export async function removePlacementGroups(
  { client }: AwsContext,
  names: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<void> {
  for (const GroupName of names) {
    const purpose = `delete the placement group ${GroupName}`;
    await client.call("DeletePlacementGroup", { GroupName }, { purpose, signal }).catch((error: unknown) => {
      if (causeCode(error) !== "InvalidPlacementGroup.Unknown") throw error;
    });
  }
}
