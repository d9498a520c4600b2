/** Whether the instance types of a spec exist, are offered where the machines are to be, and fit their images. */
import type { Diagnostic } from "../../base/diagnostic.ts";
import type { AwsContext } from "./aws-context.ts";

/** A machine of the spec, with what it is to run on. */
export type TypedMachine = {
  readonly name: string;
  readonly type: string;
  /** Whether the spec has the type at the machine itself. */
  readonly isOwnType: boolean;
  /** That of its subnet; null if it has none. */
  readonly zone: string | null;
  readonly image: string;
  /** That of its image; null if unknown. */
  readonly architecture: string | null;
};

/** All that is wrong, each type once. @throws HaplanError if AWS does not answer */
export async function checkInstanceTypes(
  { client }: AwsContext,
  machines: readonly TypedMachine[],
  signal?: AbortSignal,
): Promise<readonly Diagnostic[]> {
  const types = [...new Set(machines.map(({ type }) => type))];
  if (types.length === 0) return [];
  const purpose = `find the instance types ${types.join(", ")}`;
  const Filters = [{ Name: "instance-type", Values: types }];
  const found = await client.all(
    "DescribeInstanceTypes",
    { Filters },
    { purpose, signal },
    (said) => said.InstanceTypes,
  );
  const architectures = new Map(
    found.map(({ InstanceType, ProcessorInfo }) => [String(InstanceType), ProcessorInfo?.SupportedArchitectures ?? []]),
  );
  const offered = await client.all(
    "DescribeInstanceTypeOfferings",
    { LocationType: "availability-zone", Filters },
    { purpose, signal },
    (said) => said.InstanceTypeOfferings,
  );
  const zonesOf = (type: string): readonly string[] =>
    offered.flatMap(({ InstanceType, Location }) => (InstanceType === type && Location ? [Location] : [])).sort();
  return inGroups(machines).flatMap((group): readonly Diagnostic[] => {
    const [{ type, isOwnType, name }] = group;
    const inSpec = { machine: isOwnType ? name : null, key: "instanceType" };
    const known: readonly string[] | undefined = architectures.get(type);
    if (known === undefined) {
      const summary = `There is no instance type ${JSON.stringify(type)} in this region`;
      const detail = `${namesOf(group)} would have it. \`aws ec2 describe-instance-types\` lists those that there are.`;
      return [{ severity: "error", code: "aws/no-instance-type", summary, detail, inSpec }];
    }
    const zones = zonesOf(type);
    const misplaced = group.filter(({ zone }) => zone !== null && !zones.includes(zone));
    const unfit = group.filter(({ architecture }) => architecture !== null && !known.includes(architecture));
    return [
      ...misplaced.map(
        (machine): Diagnostic => ({
          severity: "error",
          code: "aws/type-not-offered",
          summary: `The instance type ${JSON.stringify(type)} is not offered in ${machine.zone}, where ${machine.name} is to be`,
          detail: `It is offered in ${zones.join(", ") || "no zone of this region"}. Write another \`instanceType\`, or an address of a subnet in another zone.`,
          inSpec,
        }),
      ),
      ...unfit.slice(0, 1).map(
        ({ image, architecture }): Diagnostic => ({
          severity: "error",
          code: "aws/other-architecture",
          summary: `The instance type ${JSON.stringify(type)} is ${known.join(" or ")}, and the image ${image} is ${architecture}`,
          detail: `${namesOf(unfit)} would not boot. Write an \`image\` or an \`instanceType\` of the other architecture.`,
          inSpec,
        }),
      ),
    ];
  });
}

/** Those whose type is written at one place. */
function inGroups(machines: readonly TypedMachine[]): readonly (readonly [TypedMachine, ...TypedMachine[]])[] {
  const groups = new Map<string, [TypedMachine, ...TypedMachine[]]>();
  for (const machine of machines) {
    const key = machine.isOwnType ? `of ${machine.name}` : "";
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [machine]);
    else group.push(machine);
  }
  return [...groups.values()];
}

function namesOf(machines: readonly TypedMachine[]): string {
  return machines.map(({ name }) => name).join(", ");
}
