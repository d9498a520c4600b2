/** The VPC and its subnets, which exist before haplan. */
import { HaplanError } from "../../base/haplan-error.ts";
import { present } from "./aws-client.ts";
import type { AwsContext } from "./aws-context.ts";

export type Subnet = { readonly id: string; readonly zone: string; readonly cidr: string };
export type Network = { readonly vpcId: string; readonly subnets: readonly Subnet[] };

type EachFilter = { readonly Name: string; readonly Values: string[] };

/** @throws HaplanError `aws/no-vpc`, `aws/several-vpcs` */
export async function findNetwork({ client, spec }: AwsContext, signal?: AbortSignal): Promise<Network> {
  const wanted = String(spec.provider["vpc"]);
  const options = { purpose: `find the VPC ${wanted}`, signal };
  const found = await client.all("DescribeVpcs", { Filters: [vpcFilter(wanted)] }, options, ({ Vpcs }) => Vpcs);
  const [vpc] = found;
  if (vpc === undefined) {
    const advice =
      "Write its id as `vpc`, or a filter such as tag:Name=control-plane, and check `region` and `profile`";
    throw new HaplanError("aws/no-vpc", `There is no VPC ${wanted}\n${advice}`);
  }
  if (found.length > 1) {
    const ids = found.map(({ VpcId }) => VpcId).join(", ");
    throw new HaplanError("aws/several-vpcs", `Several VPCs match ${wanted}: ${ids}\nWrite the id of one as \`vpc\``);
  }
  const vpcId = present(vpc.VpcId, "VpcId");
  return { vpcId, subnets: await findSubnets(client, spec.provider["subnets"], vpcId, signal) };
}

function vpcFilter(wanted: string): EachFilter {
  const at = wanted.indexOf("=");
  return at < 0
    ? { Name: "vpc-id", Values: [wanted] }
    : { Name: wanted.slice(0, at), Values: wanted.slice(at + 1).split(",") };
}

async function findSubnets(
  client: AwsContext["client"],
  listed: unknown,
  vpcId: string,
  signal: AbortSignal | undefined,
): Promise<readonly Subnet[]> {
  const ids = Array.isArray(listed) ? listed.map(String) : [];
  const filters = [
    { Name: "vpc-id", Values: [vpcId] },
    ...(ids.length === 0 ? [] : [{ Name: "subnet-id", Values: ids }]),
  ];
  const options = { purpose: `find the subnets of ${vpcId}`, signal };
  const found = await client.all("DescribeSubnets", { Filters: filters }, options, ({ Subnets }) => Subnets);
  const missing = ids.find((id) => found.every(({ SubnetId }) => SubnetId !== id));
  if (missing !== undefined)
    throw new HaplanError("aws/no-subnet", `There is no subnet ${missing} in ${vpcId}\nCorrect \`subnets\``);
  return found.map(({ SubnetId, AvailabilityZone, CidrBlock }) => ({
    id: present(SubnetId, "SubnetId"),
    zone: present(AvailabilityZone, "AvailabilityZone"),
    cidr: present(CidrBlock, "CidrBlock"),
  }));
}

/**
 * The subnet that contains an address. AWS keeps the first four addresses and the last one for itself.
 * @throws HaplanError `aws/no-subnet`, `aws/reserved-address`, `aws/other-zone`
 */
export function subnetOf(
  { subnets, vpcId }: Network,
  machine: { name: string; address: string; zone: string | null },
): Subnet {
  const { name, address, zone } = machine;
  const found = subnets.find(({ cidr }) => contains(cidr, address));
  if (found === undefined) {
    const known = subnets.map(({ cidr, zone: each }) => `${cidr} (${each})`).join(", ");
    throw new HaplanError(
      "aws/no-subnet",
      `No subnet of ${vpcId} contains ${address}, the address of ${name}\nThe subnets are ${known || "none"}`,
    );
  }
  const [first, size] = rangeOf(found.cidr);
  const offset = asNumber(address) - first;
  if (offset < 4 || offset === size - 1) {
    const advice = "AWS keeps the first four addresses and the last one of each subnet: write another one";
    throw new HaplanError(
      "aws/reserved-address",
      `${address}, the address of ${name}, is reserved in ${found.cidr}\n${advice}`,
    );
  }
  if (zone !== null && zone !== found.zone) {
    const advice = `Write \`zone: ${found.zone}\`, or an address of a subnet in ${zone}`;
    throw new HaplanError(
      "aws/other-zone",
      `${name} is to be in ${zone}, but ${address} is in ${found.zone} (${found.id})\n${advice}`,
    );
  }
  return found;
}

function contains(cidr: string, address: string): boolean {
  const [first, size] = rangeOf(cidr);
  const value = asNumber(address);
  return value >= first && value < first + size;
}

function rangeOf(cidr: string): readonly [first: number, size: number] {
  const [address = "", bits = "32"] = cidr.split("/");
  return [asNumber(address), 2 ** (32 - Number(bits))];
}

function asNumber(address: string): number {
  return address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
}
