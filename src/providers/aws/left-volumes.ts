/** Data volumes of masters that neither the state nor an instance has: as after `state rm` of a machine whose instance is gone then. */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { machineHosts } from "../../spec/machine-hosts.ts";
import type { AwsContext } from "./aws-context.ts";
import { tagKeys, tagValue } from "./aws-names.ts";
import { findFreeVolumes } from "./data-volumes.ts";
import type { FoundInstance } from "./instances.ts";
import type { RecordedMachines } from "./recorded-machines.ts";

/** Nothing tells how old their data is, so no member gets them. Asks AWS only if the state lacks a master that has no instance. */
export async function leftVolumes(
  context: AwsContext,
  recorded: RecordedMachines,
  { lineage, instances }: { readonly lineage: string | null; readonly instances: readonly FoundInstance[] },
  signal?: AbortSignal,
): Promise<readonly Diagnostic[]> {
  const masters = machineHosts(context.spec, []).filter(({ role }) => role === "master");
  const names = masters
    .map(({ name }) => name)
    .filter((name) =>
      [...recorded.all().map((each) => each.name), ...instances.map(({ machine }) => machine)].every(
        (known) => known !== name,
      ),
    );
  if (lineage === null || names.length === 0) return [];
  const found = await findFreeVolumes(context, lineage, names, signal);
  return found.map(({ id, tags }): Diagnostic => {
    const name = tagValue(tags, tagKeys.machine) ?? "";
    return {
      severity: "warning",
      code: "aws/left-volume",
      summary: `The volume ${id} has the tags of ${name}, which neither the state nor an instance has`,
      detail: `haplan does not know how old its data is. ${name} gets a new volume, and copies the data from the other members. Delete ${id} if its data is not needed: a destroy that finds no ${name} leaves it.`,
      address: `haplan_machine.${name}`,
    };
  });
}
