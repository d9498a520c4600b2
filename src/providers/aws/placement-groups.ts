/** Placement groups: the masters of one zone are kept on different racks. */

import { type AwsContext, ownerOf } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { ownerTags, tagKeys } from "./aws-names.ts";

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

/**
 * Removes the groups of this cluster, once their instances are gone: also those that neither the spec nor the state names any more, since the
 * masters of their zone have become fewer.
 */
export async function removePlacementGroups({ client, spec, own }: AwsContext, signal?: AbortSignal): Promise<void> {
  const Filters = [
    { Name: `tag:${tagKeys.cluster}`, Values: [spec.name] },
    { Name: `tag:${tagKeys.lineage}`, Values: [own.get()] },
  ];
  const options = { purpose: "find the placement groups", signal };
  const { PlacementGroups = [] } = await client.call("DescribePlacementGroups", { Filters }, options);
  for (const { GroupName } of PlacementGroups) {
    const purpose = `delete the placement group ${GroupName}`;
    await client.call("DeletePlacementGroup", { GroupName }, { purpose, signal }).catch((error: unknown) => {
      if (causeCode(error) !== "InvalidPlacementGroup.Unknown") throw error;
    });
  }
}
