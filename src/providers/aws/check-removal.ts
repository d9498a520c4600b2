/** Protection that others have set against deleting: found before anything is stopped for what cannot be removed then. */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { RemovalRequest } from "../provider.ts";
import type { AwsContext } from "./aws-context.ts";
import { findBalancer, findBalancerAttributes, lineageOf } from "./balancer-objects.ts";
import type { FoundInstance } from "./instances.ts";
import type { MachineInstances } from "./machine-instances.ts";

export async function checkRemoval(
  context: AwsContext,
  instances: Pick<MachineInstances, "findAlive">,
  { machines, loadBalancer, lineage }: RemovalRequest,
  signal?: AbortSignal,
): Promise<readonly Diagnostic[]> {
  try {
    const alive = machines.length === 0 ? [] : await instances.findAlive({}, signal);
    const removed = alive.filter((instance) => instance.lineage === lineage && machines.includes(instance.machine));
    const found = await Promise.all(removed.map((instance) => protectedInstance(context, instance, signal)));
    return [...found.flat(), ...(loadBalancer ? await protectedBalancer(context, lineage, signal) : [])];
  } catch (error) {
    if (signal?.aborted || !(error instanceof HaplanError)) throw error;
    const [summary = "", ...detail] = errorText(error).split("\n");
    return [{ severity: "warning", code: error.code, summary, detail: detail.join("\n") }];
  }
}

async function protectedInstance(
  { client }: AwsContext,
  { id, machine }: FoundInstance,
  signal: AbortSignal | undefined,
): Promise<readonly Diagnostic[]> {
  const input = { InstanceId: id, Attribute: "disableApiTermination" as const };
  const options = { purpose: `be sure that the instance of ${machine} can be terminated`, signal };
  const { DisableApiTermination } = await client.call("DescribeInstanceAttribute", input, options);
  if (DisableApiTermination?.Value !== true) return [];
  return [
    {
      severity: "error",
      code: "aws/protected",
      summary: `The instance ${id} of ${machine} is protected against termination`,
      detail: `The plan terminates it, so nothing was stopped. To let haplan do that: \`aws ec2 modify-instance-attribute --instance-id ${id} --no-disable-api-termination\`. Otherwise take the change back.`,
      address: `haplan_machine.${machine}`,
    },
  ];
}

async function protectedBalancer(
  context: AwsContext,
  lineage: string,
  signal: AbortSignal | undefined,
): Promise<readonly Diagnostic[]> {
  const balancer = await findBalancer(context, signal);
  if (balancer === null || lineageOf(balancer) !== lineage) return [];
  const attributes = await findBalancerAttributes(context, balancer.arn, signal);
  if (attributes["deletion_protection.enabled"] !== "true") return [];
  return [
    {
      severity: "error",
      code: "aws/protected",
      summary: "The load balancer is protected against deletion",
      detail: `The plan deletes it, so nothing was stopped. To let haplan do that: \`aws elbv2 modify-load-balancer-attributes --load-balancer-arn ${balancer.arn} --attributes Key=deletion_protection.enabled,Value=false\`. Otherwise take the change back.`,
    },
  ];
}
