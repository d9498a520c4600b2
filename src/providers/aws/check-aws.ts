/** Checks before anything is created: places, images and key pairs exist, and the caller may do what an apply does. */
import { sameJson } from "../../base/canonical-json.ts";
import type { Diagnostic, SpecSetting } from "../../base/diagnostic.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { Json } from "../../base/json.ts";
import type { Attributes } from "../../plan/resource.ts";
import { type MachineHost, machineHosts } from "../../spec/machine-hosts.ts";
import type { MachineIdentity, PreflightRequest } from "../provider.ts";
import type { RecordedMachine } from "../provider-options.ts";
import type { AwsContext } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { anotherInstance, awsModel } from "./aws-model.ts";
import { groupName, tagKeys, tagValue } from "./aws-names.ts";
import { checkInstanceTypes, type TypedMachine } from "./check-instance-types.ts";
import { otherVolumes, otherVpc, type PresentMachines } from "./check-instances.ts";
import { assertCreatable } from "./create-instance.ts";
import { findInstancesAt } from "./instances.ts";
import { readParameter, resolveImage } from "./machine-image.ts";
import { findNetwork, type Network, subnetOf } from "./network.ts";

type Report = (error: unknown, inSpec?: SpecSetting) => void;

export type AwsReport = {
  readonly diagnostics: readonly Diagnostic[];
  /** What was checked. */
  readonly checked: readonly string[];
};

/** All that is wrong, at once. */
export async function checkAws(
  context: AwsContext,
  { machines, changed = [] }: Pick<PreflightRequest, "machines" | "changed">,
  present: PresentMachines,
  signal?: AbortSignal,
): Promise<AwsReport> {
  const { recorded } = present;
  const found: Diagnostic[] = [...otherVolumes(present, machines)];
  const report: Report = (error, inSpec) => {
    if (signal?.aborted || !(error instanceof HaplanError)) throw error;
    const diagnostic = { ...diagnosticOf(error), ...(inSpec === undefined ? {} : { inSpec }) };
    // One cause, such as missing credentials, fails many calls.
    if (!found.some(({ code, detail }) => code === diagnostic.code && detail === diagnostic.detail))
      found.push(diagnostic);
  };
  const network = await findNetwork(context, signal).catch((error: unknown) => {
    report(error, ofProvider("vpc"));
    return null;
  });
  if (network === null) return { diagnostics: found, checked: [] };
  found.push(...otherVpc(present, network.vpcId));
  const isNew = ({ name, generation }: MachineIdentity): boolean =>
    recorded.every((machine) => machine.name !== name || machine.generation < generation);
  found.push(...shrunkVolumes(context, recorded));
  const placed = machines.filter((machine) => isPlaced(network, machine, report));
  const images = await checkImages(context, recorded, report, signal);
  found.push(...(await newerImages(context, recorded, report, signal)));
  await checkKeyPair(context, report, signal);
  const hosts = machineHosts(context.spec, []);
  const created = new Set(placed.filter(isNew).map(({ name }) => name));
  const newHosts = hosts.filter(({ name }) => created.has(name));
  await checkAddresses(context, network, newHosts, present, signal).then((wrong) => found.push(...wrong), report);
  const typed = hosts.map((host) => typedMachine(attributesOf(context, host), host, network, images));
  await checkInstanceTypes(context, typed, signal).then(
    (wrong) => found.push(...wrong),
    (error: unknown) => {
      if (!isUnauthorized(error)) return report(error);
      found.push({ ...diagnosticOf(error), severity: "warning" });
    },
  );
  const asked = new Set([...placed.map(({ name }) => name), ...changed]);
  const needsInstance = (host: MachineHost): boolean =>
    created.has(host.name) || (asked.has(host.name) && isChanged(context, host, recorded));
  // Of a type that does not exist, AWS would say the same again.
  const tried = hosts.filter((host) => needsInstance(host) && !isOfUnknownType(host, found));
  await checkCreation(context, network, { hosts: tried, images, machines }, report, signal);
  return { diagnostics: found, checked: checkedParts(context, tried.length > 0) };
}

/** What a dry run of RunInstances tells about. */
const namesTried = [...anotherInstance, "iam_instance_profile"] as const;

function isChanged(context: AwsContext, host: MachineHost, recorded: readonly RecordedMachine[]): boolean {
  const present = recorded.findLast(({ name }) => name === host.name)?.attributes ?? {};
  const wanted = attributesOf(context, host);
  return namesTried.some((name) => !sameJson(present[name] ?? null, wanted[name] ?? null));
}

function isOfUnknownType({ name, settings }: MachineHost, found: readonly Diagnostic[]): boolean {
  const machine = settings?.["instanceType"] === undefined ? null : name;
  return found.some(({ code, inSpec }) => code === "aws/no-instance-type" && inSpec?.machine === machine);
}

function checkedParts({ spec }: AwsContext, isTried: boolean): readonly string[] {
  return [
    "the VPC, and the subnet of each machine",
    "images",
    "instance types, their zones and architectures",
    ...(spec.provider["keyName"] === undefined ? [] : ["the key pair"]),
    ...(isTried ? ["by dry runs RunInstances and CreateSecurityGroup, with their tags"] : []),
  ];
}

function isUnauthorized(error: unknown): error is HaplanError {
  return error instanceof HaplanError && error.code === "aws/not-authorized";
}

function ofProvider(key: string): SpecSetting {
  return { machine: null, key };
}

function typedMachine(
  attributes: Attributes,
  host: MachineHost,
  network: Network,
  images: ReadonlyMap<string, FoundImage>,
): TypedMachine {
  const image = images.get(String(attributes["image"]));
  return {
    name: host.name,
    type: String(attributes["instance_type"]),
    isOwnType: host.settings?.["instanceType"] !== undefined,
    zone: zoneOf(network, host),
    image: image?.id ?? "",
    architecture: image?.architecture ?? null,
  };
}

/** Null for one that no subnet has, which is told elsewhere. */
function zoneOf(network: Network, host: MachineHost): string | null {
  try {
    return subnetOf(network, host).zone;
  } catch {
    return null;
  }
}

/** A dry run creates nothing at an address, and does not tell. An instance of the cluster may be what an apply that was killed has left. */
async function checkAddresses(
  context: AwsContext,
  { vpcId }: Network,
  hosts: readonly MachineHost[],
  present: PresentMachines,
  signal?: AbortSignal,
): Promise<readonly Diagnostic[]> {
  const addresses = hosts.map(({ address }) => address);
  const found = await findInstancesAt(context, vpcId, addresses, signal);
  const others = found.filter(({ id }) => present.instances.every((instance) => instance.id !== id));
  return others.flatMap(({ id, address, tags }) => {
    const [name, cluster] = ["Name", tagKeys.cluster].map((key) => tagValue(tags, key));
    const whose = cluster === null ? "" : `, which is of the cluster ${cluster}`;
    return hosts
      .filter((host) => host.address === address)
      .map(
        (host): Diagnostic => ({
          severity: "error",
          code: "aws/address-taken",
          summary: `The address ${address} of ${host.name} is that of the instance ${id}${name == null ? "" : ` (${name})`}${whose}`,
          detail: `Write an unused address for ${host.name}, or terminate ${id}.`,
          inSpec: { machine: host.name, key: "address" },
        }),
      );
  });
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
    report(error, { machine: machine.name, key: causedByZone(error) ? "zone" : "address" });
    return false;
  }
}

function causedByZone(error: unknown): boolean {
  return error instanceof HaplanError && error.code === "aws/other-zone";
}

/** An image with what it runs on; null if AWS does not say. */
type FoundImage = { readonly id: string; readonly architecture: string | null };

/** The images of the spec, each with its id. */
async function checkImages(
  context: AwsContext,
  recorded: readonly RecordedMachine[],
  report: Report,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, FoundImage>> {
  const found = new Map<string, FoundImage>();
  const images = new Set(machineHosts(context.spec, []).map((host) => String(attributesOf(context, host)["image"])));
  for (const image of images) {
    try {
      const id = await resolveImage(context, image, recorded, signal);
      const options = { purpose: `find the image ${id}`, signal };
      const { Images = [] } = await context.client.call("DescribeImages", { ImageIds: [id] }, options);
      const [first] = Images;
      if (first === undefined)
        throw new HaplanError("aws/no-image", `There is no image ${id} in this region\nWrite another one as \`image\``);
      found.set(image, { id, architecture: first.Architecture ?? null });
    } catch (error) {
      report(error, ofProvider("image"));
    }
  }
  return found;
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
  await client.call("DescribeKeyPairs", { KeyNames: [name] }, options).catch((error: unknown) => {
    report(error, ofProvider("keyName"));
  });
}

/** Calls that would be made, as dry runs: AWS checks them and the permissions, and changes nothing. Of machines that are alike, one. */
async function checkCreation(
  context: AwsContext,
  network: Network,
  { hosts, images, machines }: Creation,
  report: Report,
  signal?: AbortSignal,
): Promise<void> {
  const kinds = new Map(hosts.map((host) => [kindOf(attributesOf(context, host)), host]));
  for (const host of kinds.values()) {
    const attributes = attributesOf(context, host);
    const image = images.get(String(attributes["image"]));
    if (image === undefined || zoneOf(network, host) === null) continue;
    const wanted = {
      ...{ machine: host.name, address: host.address, attributes, ami: image.id, subnetId: subnetOf(network, host).id },
      // Nothing that may not exist yet.
      ...{ groupId: null, volumeId: null, generation: 1, lineage: machines[0]?.lineage ?? "to-be-made" },
    };
    await assertCreatable(context, wanted, signal).catch((error: unknown) => {
      reportCreation(error, attributes["iam_instance_profile"], report);
    });
  }
  if (hosts.length === 0) return;
  const { spec } = context;
  const input = {
    GroupName: groupName(spec.name, "masters"),
    Description: "masters",
    VpcId: network.vpcId,
    DryRun: true,
  };
  const options = { purpose: "be sure of the permission for ec2:CreateSecurityGroup", signal };
  await context.client.call("CreateSecurityGroup", input, options).catch((error: unknown) => {
    if (causeCode(error) !== "DryRunOperation") report(error);
  });
}

type Creation = {
  readonly hosts: readonly MachineHost[];
  readonly images: ReadonlyMap<string, FoundImage>;
  readonly machines: readonly MachineIdentity[];
};

function kindOf({ image, instance_type, volume_size }: Attributes): string {
  return JSON.stringify([image, instance_type, volume_size ?? null]);
}

/** AWS calls a profile that does not exist an invalid value. */
function reportCreation(error: unknown, profile: Json | undefined, report: Report): void {
  const isOfProfile =
    typeof profile === "string" && !isUnauthorized(error) && /instance ?profile/i.test(errorText(error));
  if (!isOfProfile) {
    report(error);
    return;
  }
  const detail = `${errorText(error).split("\n")[1] ?? ""}\nWrite the name of one that exists, without path: \`aws iam list-instance-profiles\` lists them`;
  report(
    new HaplanError("aws/no-instance-profile", `There is no instance profile ${JSON.stringify(profile)}\n${detail}`),
    ofProvider("instanceProfile"),
  );
}

function attributesOf({ spec }: AwsContext, host: MachineHost): Attributes {
  return awsModel.describeMachine(spec, host).attributes;
}
