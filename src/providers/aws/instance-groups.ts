/** The security groups of an instance: that of its role, put back where it was taken off, beside those of others. */
import type { Attributes } from "../../plan/resource.ts";
import type { AwsContext } from "./aws-context.ts";
import type { FoundInstance } from "./instances.ts";
import type { GroupIds } from "./security-groups.ts";

/** The group of the cluster that a machine with these attributes is in. */
export function groupOf(attributes: Attributes, groups: GroupIds): string {
  return attributes["volume_size"] === undefined ? groups.workers : groups.masters;
}

/** Of the cluster's groups the instance is in this one alone. */
export async function ensureGroup(
  { client }: AwsContext,
  { id, machine, groupIds }: Pick<FoundInstance, "id" | "machine" | "groupIds">,
  groupId: string,
  groups: GroupIds,
  signal?: AbortSignal,
): Promise<void> {
  const own: readonly string[] = Object.values(groups);
  const others = groupIds.filter((each) => each !== groupId && own.includes(each));
  if (groupIds.includes(groupId) && others.length === 0) return;
  const Groups = [...groupIds.filter((each) => !own.includes(each)), groupId];
  const purpose = `put ${machine} back into its security group`;
  await client.call("ModifyInstanceAttribute", { InstanceId: id, Groups }, { purpose, signal });
}
