/** Checks before anything is created: places, images and key pairs exist, and the caller may do what an apply does. */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { Attributes } from "../../plan/resource.ts";
import { type MachineHost, machineHosts } from "../../spec/machine-hosts.ts";
import type { MachineIdentity, PreflightRequest } from "../provider.ts";
import type { RecordedMachine } from "../provider-options.ts";
import type { AwsCallName } from "./aws-call-types.ts";
import type { InputOf } from "./aws-client.ts";
import type { AwsContext } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { awsModel } from "./aws-model.ts";
import { clientToken, groupName } from "./aws-names.ts";
import { readParameter, resolveImage } from "./machine-image.ts";
import { findNetwork, type Network, subnetOf } from "./network.ts";

type Report = (error: unknown) => void;

/** All that is wrong, at once. */
export async function checkAws(
  context: AwsContext,
  { machines }: Pick<PreflightRequest, "machines">,
  recorded: readonly RecordedMachine[],
  signal?: AbortSignal,
): Promise<readonly Diagnostic[]> {
  const found: Diagnostic[] = [];
  const report: Report = (error) => {
    if (signal?.aborted || !(error instanceof HaplanError)) throw error;
    const diagnostic = diagnosticOf(error);
    // One cause, such as missing credentials, fails many calls.
    if (!found.some(({ code, detail }) => code === diagnostic.code && detail === diagnostic.detail))
      found.push(diagnostic);
  };
  const network = await findNetwork(context, signal).catch((error: unknown) => {
    report(error);
    return null;
  });
  if (network === null) return found;
  const isNew = ({ name }: MachineIdentity): boolean => recorded.every((machine) => machine.name !== name);
  found.push(...shrunkVolumes(context, recorded));
  const placed = machines.filter((machine) => isPlaced(network, machine, report));
  const images = await checkImages(context, recorded, report, signal);
  found.push(...(await newerImages(context, recorded, report, signal)));
  await checkKeyPair(context, report, signal);
  const [first] = placed.filter(isNew);
  if (first !== undefined) await checkPermissions(context, network, { machine: first, images }, report, signal);
  return found;
}

/** AWS makes no volume smaller. */
function shrunkVolumes(context: AwsContext, recorded: readonly RecordedMachine[]): readonly Diagnostic[] {
  return machineHosts(context.spec, []).flatMap((host): Diagnostic[] => {
    const present = recorded.findLast(({ name }) => name === host.name)?.attributes["volume_size"];
    const wanted = attributesOf(context, host)["volume_size"];
    if (typeof present !== "number" || typeof wanted !== "number" || wanted >= present) return [];
    return [
      {
        severity: "error",
        code: "aws/volume-shrinks",
        summary: `The data volume of ${host.name} has ${present} GiB, and cannot have ${wanted} GiB`,
        detail: `AWS makes volumes larger only. Write \`sizeGiB: ${present}\` or more.`,
      },
    ];
  });
}

function diagnosticOf(error: HaplanError): Diagnostic {
  const [summary = "", ...detail] = errorText(error).split("\n");
  return { severity: "error", code: error.code, summary, detail: detail.join("\n") };
}

function isPlaced(network: Network, machine: MachineIdentity, report: Report): boolean {
  try {
    subnetOf(network, machine);
    return true;
  } catch (error) {
    report(error);
    return false;
  }
}

/** The images of the spec, each with its id. */
async function checkImages(
  context: AwsContext,
  recorded: readonly RecordedMachine[],
  report: Report,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>();
  const images = new Set(machineHosts(context.spec, []).map((host) => String(attributesOf(context, host)["image"])));
  for (const image of images) {
    try {
      const id = await resolveImage(context, image, recorded, signal);
      const options = { purpose: `find the image ${id}`, signal };
      const { Images = [] } = await context.client.call("DescribeImages", { ImageIds: [id] }, options);
      if (Images.length === 0)
        throw new HaplanError("aws/no-image", `There is no image ${id} in this region\nWrite another one as \`image\``);
      ids.set(image, id);
    } catch (error) {
      report(error);
    }
  }
  return ids;
}

/** Machines keep their image: a newer one is used once the spec names it. */
async function newerImages(
  context: AwsContext,
  recorded: readonly RecordedMachine[],
  report: Report,
  signal?: AbortSignal,
): Promise<readonly Diagnostic[]> {
  const pinned = new Map(
    recorded.flatMap(({ attributes: { image, ami } }) =>
      typeof image === "string" && image.startsWith("ssm:") && typeof ami === "string" ? [[image, ami] as const] : [],
    ),
  );
  const found: Diagnostic[] = [];
  for (const [image, ami] of pinned) {
    const newest = await readParameter(context, image, signal).catch((error: unknown) => {
      report(error);
      return ami;
    });
    if (newest === ami) continue;
    found.push({
      severity: "warning",
      code: "aws/newer-image",
      summary: `There is a newer image: ${newest}`,
      detail: `The machines have ${ami}, which ${image} was when they were created. To replace them one at a time, write \`image: ${newest}\` in the spec.`,
    });
  }
  return found;
}

async function checkKeyPair({ client, spec }: AwsContext, report: Report, signal?: AbortSignal): Promise<void> {
  const name = spec.provider["keyName"];
  if (typeof name !== "string") return;
  const options = { purpose: `find the key pair ${name}`, signal };
  await client.call("DescribeKeyPairs", { KeyNames: [name] }, options).catch(report);
}

/** Calls that would be made, as dry runs: AWS checks the permissions and changes nothing. */
async function checkPermissions(
  context: AwsContext,
  network: Network,
  { machine, images }: { readonly machine: MachineIdentity; readonly images: ReadonlyMap<string, string> },
  report: Report,
  signal?: AbortSignal,
): Promise<void> {
  const { spec } = context;
  const dryRun = async <Name extends AwsCallName>(name: Name, input: InputOf<Name>): Promise<void> => {
    const options = { purpose: `be sure of the permission for ec2:${name}`, signal };
    await context.client.call(name, { ...input, DryRun: true }, options).catch((error: unknown) => {
      if (causeCode(error) !== "DryRunOperation") report(error);
    });
  };
  const host = machineHosts(context.spec, []).find(({ name }) => name === machine.name);
  const attributes = host === undefined ? {} : attributesOf(context, host);
  const ami = images.get(String(attributes["image"]));
  if (ami !== undefined) {
    await dryRun("RunInstances", {
      ImageId: ami,
      InstanceType: String(attributes["instance_type"]) as InputOf<"RunInstances">["InstanceType"],
      MinCount: 1,
      MaxCount: 1,
      SubnetId: subnetOf(network, machine).id,
      ClientToken: clientToken(machine.lineage, machine.name, machine.generation, 0),
    });
  }
  await dryRun("CreateSecurityGroup", {
    GroupName: groupName(spec.name, "masters"),
    Description: "masters",
    VpcId: network.vpcId,
  });
}

function attributesOf({ spec }: AwsContext, host: MachineHost): Attributes {
  return awsModel.describeMachine(spec, host).attributes;
}
