/** Attributes of an instance as AWS has them now, under the names of the model: what differs from the state is drift. Pure. */
import type { Attributes } from "../../plan/resource.ts";
import type { ClusterSpec, ProviderSettings } from "../../spec/cluster-spec.ts";
import { type Tag, tagKeys, tagValue } from "./aws-names.ts";
import { type FoundVolume, volumeType } from "./data-volumes.ts";
import type { FoundInstance } from "./instances.ts";
import { otherDataVolume } from "./own-volumes.ts";
import { describeIngress, type FoundGroup, groupIds } from "./security-groups.ts";
import { hasTags } from "./told-apart.ts";
import { dataDeviceName } from "./user-data.ts";

/** A data volume, as it is at its device and as the state has it. */
type DataVolume = {
  /** Undefined if the device has none. */
  readonly present: FoundVolume | undefined;
  /** Its id; null if the state has none. */
  readonly recorded: string | null;
};

export function observedAttributes(
  { controlPlane, provider }: ClusterSpec,
  instance: FoundInstance,
  groups: readonly FoundGroup[],
  { present, recorded }: DataVolume,
): Attributes {
  const role = groups.find(({ id }) => instance.groupIds.includes(id))?.role ?? null;
  const isMaster = role === "masters" || controlPlane.masters.some(({ name }) => name === instance.machine);
  // Size and tags of a volume of others tell nothing of the machine.
  const other = otherDataVolume(instance, recorded);
  const volume = isMaster && other === null ? present : undefined;
  const permissions = groups.filter(({ id }) => instance.groupIds.includes(id)).flatMap((group) => group.permissions);
  return {
    instance_type: instance.instanceType,
    key_name: instance.keyName,
    iam_instance_profile: instance.profile,
    instance_state: instanceState(instance),
    ...(isMaster
      ? {
          placement_group: instance.placementGroup,
          volume_state: other === null ? volumeState(instance, volume) : `another volume: ${other}`,
        }
      : {}),
    ...(volume === undefined ? {} : volumeSettings(provider, volume)),
    ingress: [...describeIngress(permissions, groupIds(groups)).keys()].sort(),
    tags: volume === undefined ? userTags(instance.tags) : commonTags(userTags(instance.tags), userTags(volume.tags)),
  };
}

function instanceState(instance: FoundInstance): string {
  const state = instance.state === "running" || instance.state === "pending" ? "running" : "stopped";
  return hasTags(instance) ? state : `${state}, without haplan's tags`;
}

/** All that can be wrong with a data volume, besides its size and performance. */
function volumeState(instance: FoundInstance, volume: FoundVolume | undefined): string {
  const id = instance.volumes.get(dataDeviceName);
  if (id === undefined) return "detached";
  const wrong = [
    ...(instance.deletedWithIt.has(id) ? ["deleted with its instance"] : []),
    ...(volume === undefined || volume.type === volumeType ? [] : [`of type ${volume.type}`]),
    ...(volume === undefined || hasOwnTags(volume, instance) ? [] : ["without haplan's tags"]),
  ];
  return ["attached", ...wrong].join(", ");
}

/** By its tags, a volume is found again where there is no state. */
function hasOwnTags({ tags }: FoundVolume, { lineage, machine, generation }: FoundInstance): boolean {
  const own = { cluster: tagValue(tags, tagKeys.cluster), lineage, machine, generation: String(generation) };
  return (["cluster", "lineage", "machine", "generation"] as const).every((key) => {
    const found = tagValue(tags, tagKeys[key]);
    return found !== null && found === own[key];
  });
}

/** A volume that is larger than wanted stays so: see `largerVolumes`. */
function volumeSettings(provider: ProviderSettings, volume: FoundVolume): Attributes {
  const { Size, Iops, Throughput } = volume.settings;
  return {
    ...(Size > wantedSize(provider) ? {} : { volume_size: Size }),
    ...(Iops === 0 ? {} : { volume_iops: Iops }),
    ...(Throughput === 0 ? {} : { volume_throughput: Throughput }),
  };
}

export function wantedSize(provider: ProviderSettings): number {
  return Number((provider["volume"] as ProviderSettings)["sizeGiB"]);
}

/** What one of the two lacks is missing, and what one of the two has besides is there. */
function commonTags(ofInstance: readonly string[], ofVolume: readonly string[]): readonly string[] {
  const keyOf = (text: string): string => text.slice(0, text.indexOf("="));
  const known = new Set(ofInstance.map(keyOf));
  return [
    ...ofInstance.filter((text) => ofVolume.includes(text)),
    ...ofVolume.filter((text) => !known.has(keyOf(text))),
  ].sort();
}

const ownKeys: ReadonlySet<string> = new Set(["Name", ...Object.values(tagKeys)]);

/** Tags other than haplan's and AWS's own, as the spec writes them. */
export function userTags(tags: readonly Tag[]): readonly string[] {
  return tags
    .filter(({ Key }) => !ownKeys.has(Key) && !Key.startsWith("aws:"))
    .map(({ Key, Value }) => `${Key}=${Value}`)
    .sort();
}
