/** The tags of an instance and of its own volumes. */
import { type AwsContext, extraTags, ownerOf } from "./aws-context.ts";
import { ownerTags, tagKeys } from "./aws-names.ts";
import { findVolumesById } from "./data-volumes.ts";
import type { FoundInstance } from "./instances.ts";
import { userTags } from "./observed-attributes.ts";
import { ownVolumeIds } from "./own-volumes.ts";

/**
 * Gives them the tags of the spec and of the machine's name, and takes those away that the spec no longer has. Volumes of others
 * keep their tags. `dataVolume`: null for a machine that has none.
 */
export async function updateTags(
  context: AwsContext,
  instance: FoundInstance,
  dataVolume: string | null,
  signal?: AbortSignal,
): Promise<void> {
  const { client, spec } = context;
  const { machine, lineage, generation } = instance;
  const wanted = [
    ...ownerTags(ownerOf(context, lineage), `${spec.name}-${machine}`),
    { Key: tagKeys.machine, Value: machine },
    { Key: tagKeys.generation, Value: String(generation) },
  ];
  const volumes = await findVolumesById(context, ownVolumeIds(instance, dataVolume), signal);
  const tagged = [instance, ...volumes.values()];
  const Resources = tagged.map(({ id }) => id);
  const purpose = `change the tags of ${machine}`;
  const missing = wanted.filter(({ Key, Value }) =>
    tagged.some(({ tags }) => tags.every((tag) => tag.Key !== Key || tag.Value !== Value)),
  );
  if (missing.length > 0) await client.call("CreateTags", { Resources, Tags: missing }, { purpose, signal });
  const keys = new Set(extraTags(spec).map(({ Key }) => Key));
  const found = tagged.flatMap(({ tags }) => userTags(tags)).map((text) => text.slice(0, text.indexOf("=")));
  const extra = [...new Set(found)].filter((key) => !keys.has(key));
  if (extra.length > 0) {
    await client.call("DeleteTags", { Resources, Tags: extra.map((Key) => ({ Key })) }, { purpose, signal });
  }
}
