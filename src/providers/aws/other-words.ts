/** What a machine has under a name of the spec that is not the state's: the id of the same VPC, or of the same image. */
import type { Attributes } from "../../plan/resource.ts";
import { machineHosts } from "../../spec/machine-hosts.ts";
import type { AwsContext } from "./aws-context.ts";
import { awsModel } from "./aws-model.ts";
import type { FoundInstance } from "./instances.ts";
import { resolveImage } from "./machine-image.ts";
import type { RecordedMachines } from "./recorded-machines.ts";
import type { SharedObjects } from "./shared-objects.ts";

type Parts = {
  readonly context: AwsContext;
  readonly recorded: RecordedMachines;
  readonly shared: Pick<SharedObjects, "network">;
};

/** Asks AWS only where the spec and the state differ. What AWS does not know is another one. */
export async function inOtherWords(
  { context, recorded, shared }: Parts,
  { machine, vpcId, ami }: Pick<FoundInstance, "machine" | "vpcId" | "ami">,
  signal?: AbortSignal,
): Promise<Attributes> {
  const { spec } = context;
  const host = machineHosts(spec, []).find(({ name }) => name === machine);
  const known = recorded.attributesOf(machine);
  if (host === undefined) return {};
  const { vpc, image } = awsModel.describeMachine(spec, host).attributes;
  const differs = (name: string, wanted: unknown): boolean => known[name] !== undefined && known[name] !== wanted;
  const same: { [name: string]: string } = {};
  if (typeof vpc === "string" && differs("vpc", vpc)) {
    const network = await shared.network(signal).catch(() => null);
    if (network?.vpcId === vpcId) same["vpc"] = vpc;
  }
  if (typeof image === "string" && differs("image", image)) {
    const resolved = await resolveImage(context, image, recorded.all(), signal).catch(() => null);
    if (resolved === ami) same["image"] = image;
  }
  return same;
}
