/** Data volumes of a machine that gets another name: also those that no instance has at present. */
import type { AwsContext } from "./aws-context.ts";
import { tagKeys } from "./aws-names.ts";
import { findUsable } from "./data-volumes.ts";
import type { RecordedMachines } from "./recorded-machines.ts";

/** What has the former name would stay when the machine is destroyed. */
export async function renameVolumes(
  context: AwsContext,
  recorded: RecordedMachines,
  { from, to }: { readonly from: string; readonly to: string },
  signal?: AbortSignal,
): Promise<void> {
  const ofName = recorded.all().filter(({ name }) => name === from || name === to);
  const ids = ofName.flatMap(({ name, generation }) => recorded.volumeOf(name, generation) ?? []);
  const Resources = [...(await findUsable(context, context.own.get(), [...new Set(ids)], signal))];
  if (Resources.length === 0) return;
  const Tags = [
    { Key: "Name", Value: `${context.spec.name}-${to}` },
    { Key: tagKeys.machine, Value: to },
  ];
  const purpose = `give the data volume of ${from} the name ${to}`;
  await context.client.call("CreateTags", { Resources, Tags }, { purpose, signal });
}
