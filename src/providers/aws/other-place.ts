/** Whether the spec leads to another region or account than the one that has the cluster: nothing of it would be found there. */
import type { Attributes } from "../../plan/resource.ts";
import type { StateResource } from "../../plan/state.ts";
import type { OtherPlace } from "../provider.ts";
import type { AwsContext } from "./aws-context.ts";

type Recorded = Pick<StateResource, "type" | "name" | "attributes">;

/** The region that the state has; null if it has none. */
export function recordedRegion(resources: readonly Recorded[]): string | null {
  const zones = resources.flatMap(({ attributes }) => texts(attributes, "availability_zone"));
  const found = [...zones.map(regionOfZone), ...arnsOf(resources).map(([, , , region = ""]) => region)];
  return found.find((region) => region !== "") ?? null;
}

/** The id of the account that the state has; null if it has none. */
export function recordedAccount(resources: readonly Recorded[]): string | null {
  const owners = resources.flatMap(({ attributes }) => texts(attributes, "owner_id"));
  const found = [...owners, ...arnsOf(resources).map(([, , , , account = ""]) => account)];
  return found.find((account) => account !== "") ?? null;
}

/** `eu-central-1` of `eu-central-1a`, and of a local zone. */
function regionOfZone(zone: string): string {
  return /^[a-z]{2}(-[a-z]+)+-\d+/.exec(zone)?.[0] ?? "";
}

/** `arn:aws:elasticloadbalancing:REGION:ACCOUNT:...`, in its parts. */
function arnsOf(resources: readonly Recorded[]): readonly (readonly string[])[] {
  return resources.flatMap(({ attributes }) => texts(attributes, "arn")).map((arn) => arn.split(":"));
}

function texts(attributes: Attributes, name: string): readonly string[] {
  const value = attributes[name];
  return typeof value === "string" ? [value] : [];
}

/** `foundNone`: the present place was looked at, and has nothing of the cluster. */
export async function findOtherPlace(
  context: AwsContext,
  resources: readonly Recorded[],
  foundNone: boolean,
  signal?: AbortSignal,
): Promise<OtherPlace | null> {
  const { client, spec } = context;
  const [region, account] = [recordedRegion(resources), recordedAccount(resources)];
  const present = region === null ? null : await client.region();
  if (region !== null && present !== null && present !== region) {
    const isWritten = typeof spec.provider["region"] === "string";
    return {
      setting: "region",
      code: "aws/other-region",
      summary: `${isWritten ? "The spec" : "The environment"} says region ${present}, but the cluster is in ${region}`,
      detail: `${stateHas(resources)} in ${region}. A cluster is not moved to another region: nothing of it would be found in ${present}, and all of it would go on in ${region}. Write \`region: ${region}\`. For a cluster in ${present}, write another metadata.name.`,
    };
  }
  const isCreated = resources.some(({ attributes }) => texts(attributes, "instance_id").length > 0);
  if ((account === null && !isCreated) || !foundNone) return null;
  const owners = await presentAccounts(context, signal);
  if (account !== null && owners.includes(account)) return null;
  if (account === null || owners.length === 0) return unknownAccount(resources, account);
  return {
    setting: "profile",
    code: "aws/other-account",
    summary: `The credentials are those of account ${owners.join(", ")}, but the cluster is in ${account}`,
    detail: `${stateHas(resources)} in account ${account}, and account ${owners.join(", ")} has nothing of it. Use credentials of account ${account}: write its \`profile\`, or set AWS_PROFILE. For a cluster in the other account, write another metadata.name.`,
  };
}

/** Nothing that is there tells whose credentials these are: everything may go on elsewhere. */
function unknownAccount(resources: readonly Recorded[], account: string | null): OtherPlace {
  const where = account === null ? "another account" : `account ${account}`;
  const its = account === null ? "the account that has the cluster" : where;
  return {
    setting: "profile",
    code: "aws/unknown-account",
    summary: `AWS has nothing of the cluster, and does not show that these are the credentials of ${its}`,
    detail: `${stateHas(resources)}. It may all go on in ${where}. Use credentials of ${its}: write its \`profile\`, or set AWS_PROFILE. If all of it was removed there, with its VPC, forget it with \`haplan state rm\`.`,
  };
}

function stateHas(resources: readonly Recorded[]): string {
  const names = resources
    .filter(({ type }) => type === "haplan_machine")
    .map(({ name }) => name)
    .sort();
  return `The state has ${names.length === 0 ? "a load balancer" : names.join(", ")}`;
}

/** Those that own a VPC here: each VPC has a default security group, of its owner. */
async function presentAccounts({ client }: AwsContext, signal: AbortSignal | undefined): Promise<readonly string[]> {
  const Filters = [{ Name: "group-name", Values: ["default"] }];
  const options = { purpose: "find out which account this is", signal };
  const found = await client.all(
    "DescribeSecurityGroups",
    { Filters },
    options,
    ({ SecurityGroups }) => SecurityGroups,
  );
  return [...new Set(found.flatMap(({ OwnerId = "" }) => (OwnerId === "" ? [] : [OwnerId])))].sort();
}
