/** The attributes of the load balancer and of its target group that haplan determines. */
import type { AwsContext } from "./aws-context.ts";
import {
  type FoundBalancer,
  type FoundTargetGroup,
  findBalancerAttributes,
  findTargetGroupAttributes,
  type ObjectAttributes,
} from "./balancer-objects.ts";

const balancerAttributes: ObjectAttributes = { "load_balancing.cross_zone.enabled": "true" };

/** A master that reaches itself through the load balancer would see its own address, and drop the packets. */
const targetGroupAttributes: ObjectAttributes = {
  "preserve_client_ip.enabled": "false",
  "deregistration_delay.timeout_seconds": "20",
  "deregistration_delay.connection_termination.enabled": "true",
};

export async function ensureAttributes(
  context: AwsContext,
  balancer: FoundBalancer,
  group: FoundTargetGroup,
  signal?: AbortSignal,
): Promise<void> {
  const purpose = "set the attributes of the load balancer";
  const wrong = differing(await findBalancerAttributes(context, balancer.arn, signal), balancerAttributes);
  if (wrong.length > 0) {
    const input = { LoadBalancerArn: balancer.arn, Attributes: wrong };
    await context.client.call("ModifyLoadBalancerAttributes", input, { purpose, signal });
  }
  const wrongOfGroup = differing(await findTargetGroupAttributes(context, group.arn, signal), targetGroupAttributes);
  if (wrongOfGroup.length > 0) {
    const input = { TargetGroupArn: group.arn, Attributes: wrongOfGroup };
    await context.client.call("ModifyTargetGroupAttributes", input, { purpose, signal });
  }
}

/** Of both, as AWS has them. */
export async function ownAttributes(
  context: AwsContext,
  balancer: FoundBalancer,
  group: FoundTargetGroup,
  signal?: AbortSignal,
): Promise<{ readonly balancer: ObjectAttributes; readonly group: ObjectAttributes }> {
  const [ofBalancer, ofGroup] = await Promise.all([
    findBalancerAttributes(context, balancer.arn, signal),
    findTargetGroupAttributes(context, group.arn, signal),
  ]);
  return { balancer: pick(ofBalancer, balancerAttributes), group: pick(ofGroup, targetGroupAttributes) };
}

function pick(found: ObjectAttributes, wanted: ObjectAttributes): ObjectAttributes {
  return Object.fromEntries(Object.keys(wanted).map((key) => [key, found[key] ?? ""]));
}

function differing(found: ObjectAttributes, wanted: ObjectAttributes): { Key: string; Value: string }[] {
  return Object.entries(wanted).flatMap(([Key, Value]) => (found[Key] === Value ? [] : [{ Key, Value }]));
}
