/** Attributes of an instance as AWS has them now, under the names of the model: what differs from the state is drift. Pure. */
import type { Attributes } from "../../plan/resource.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { type Tag, tagKeys } from "./aws-names.ts";
import type { FoundInstance } from "./instances.ts";
import { describeIngress, type FoundGroup, groupIds } from "./security-groups.ts";
import { dataDeviceName } from "./user-data.ts";

export function observedAttributes(
  { controlPlane }: ClusterSpec,
  instance: FoundInstance,
  groups: readonly FoundGroup[],
): Attributes {
  const role = groups.find(({ id }) => instance.groupIds.includes(id))?.role ?? null;
  const isMaster = role === "masters" || controlPlane.masters.some(({ name }) => name === instance.machine);
  const permissions = groups.filter(({ id }) => instance.groupIds.includes(id)).flatMap((group) => group.permissions);
  return {
    instance_type: instance.instanceType,
    ...(instance.keyName === null ? {} : { key_name: instance.keyName }),
    ...(instance.profile === null ? {} : { iam_instance_profile: instance.profile }),
    ...(instance.placementGroup === null ? {} : { placement_group: instance.placementGroup }),
    instance_state: instance.state === "running" || instance.state === "pending" ? "running" : "stopped",
    ...(isMaster ? { volume_state: instance.volumes.has(dataDeviceName) ? "attached" : "detached" } : {}),
    ingress: [...describeIngress(permissions, groupIds(groups)).keys()].sort(),
    tags: userTags(instance.tags),
  };
}

const ownKeys: ReadonlySet<string> = new Set(["Name", ...Object.values(tagKeys)]);

/** Tags other than haplan's and AWS's own, as the spec writes them. */
export function userTags(tags: readonly Tag[]): readonly string[] {
  return tags
    .filter(({ Key }) => !ownKeys.has(Key) && !Key.startsWith("aws:"))
    .map(({ Key, Value }) => `${Key}=${Value}`)
    .sort();
}
