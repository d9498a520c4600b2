/** What a network load balancer of haplan's consists of in AWS, as it is found. */

import { present } from "./aws-client.ts";
import type { AwsContext } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { balancerObjectName, type Tag, tagKeys, tagValue } from "./aws-names.ts";

export type FoundBalancer = {
  readonly arn: string;
  readonly dnsName: string;
  readonly state: string;
  readonly internal: boolean;
  readonly subnetIds: readonly string[];
  readonly groupIds: readonly string[];
  readonly tags: readonly Tag[];
};

export type FoundTargetGroup = {
  readonly arn: string;
  readonly healthPort: string;
  readonly healthPath: string;
  readonly healthProtocol: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
};

export type FoundTarget = {
  readonly address: string;
  readonly port: number;
  readonly state: string;
  readonly reason: string;
};
export type FoundListener = {
  readonly arn: string;
  readonly port: number;
  readonly protocol: string;
  readonly targetGroupArn: string;
};

/** Null if there is none of the cluster's name. */
export async function findBalancer({ client, spec }: AwsContext, signal?: AbortSignal): Promise<FoundBalancer | null> {
  const name = balancerObjectName(spec.name);
  const options = { purpose: `find the load balancer ${name}`, signal };
  const found = await client.call("DescribeLoadBalancers", { Names: [name] }, options).catch((error: unknown) => {
    if (/^LoadBalancerNotFound/.test(causeCode(error))) return null;
    throw error;
  });
  const [balancer] = found?.LoadBalancers ?? [];
  if (balancer === undefined) return null;
  const arn = present(balancer.LoadBalancerArn, "LoadBalancerArn");
  const { TagDescriptions = [] } = await client.call("DescribeElbTags", { ResourceArns: [arn] }, options);
  return {
    arn,
    dnsName: present(balancer.DNSName, "DNSName"),
    state: balancer.State?.Code ?? "unknown",
    internal: balancer.Scheme === "internal",
    subnetIds: (balancer.AvailabilityZones ?? []).flatMap(({ SubnetId }) => (SubnetId === undefined ? [] : [SubnetId])),
    groupIds: balancer.SecurityGroups ?? [],
    tags: (TagDescriptions[0]?.Tags ?? []).map(({ Key = "", Value = "" }) => ({ Key, Value })),
  };
}

export async function findTargetGroup(
  { client, spec }: AwsContext,
  signal?: AbortSignal,
): Promise<FoundTargetGroup | null> {
  const name = balancerObjectName(spec.name);
  const options = { purpose: `find the target group ${name}`, signal };
  const found = await client.call("DescribeTargetGroups", { Names: [name] }, options).catch((error: unknown) => {
    if (/^TargetGroupNotFound/.test(causeCode(error))) return null;
    throw error;
  });
  const [group] = found?.TargetGroups ?? [];
  if (group === undefined) return null;
  return {
    arn: present(group.TargetGroupArn, "TargetGroupArn"),
    healthPort: group.HealthCheckPort ?? "",
    healthPath: group.HealthCheckPath ?? "",
    healthProtocol: group.HealthCheckProtocol ?? "",
    intervalSeconds: group.HealthCheckIntervalSeconds ?? 0,
    timeoutSeconds: group.HealthCheckTimeoutSeconds ?? 0,
    healthyThreshold: group.HealthyThresholdCount ?? 0,
    unhealthyThreshold: group.UnhealthyThresholdCount ?? 0,
  };
}

/** Those that get connections, or will: not those that are being removed. */
export async function findTargets(
  { client }: AwsContext,
  TargetGroupArn: string,
  signal?: AbortSignal,
): Promise<readonly FoundTarget[]> {
  const options = { purpose: "find the targets of the load balancer", signal };
  const { TargetHealthDescriptions = [] } = await client.call("DescribeTargetHealth", { TargetGroupArn }, options);
  return TargetHealthDescriptions.flatMap(({ Target, TargetHealth }) => {
    const state = TargetHealth?.State ?? "unknown";
    if (Target?.Id === undefined || state === "draining") return [];
    const reason = TargetHealth?.Description ?? TargetHealth?.Reason ?? "";
    return [{ address: Target.Id, port: Target.Port ?? 0, state, reason }];
  });
}

export async function findListeners(
  { client }: AwsContext,
  LoadBalancerArn: string,
  signal?: AbortSignal,
): Promise<readonly FoundListener[]> {
  const options = { purpose: "find the listeners of the load balancer", signal };
  const found = await client.all("DescribeListeners", { LoadBalancerArn }, options, ({ Listeners }) => Listeners);
  return found.map(({ ListenerArn, Port = 0, Protocol = "TCP", DefaultActions = [] }) => ({
    arn: present(ListenerArn, "ListenerArn"),
    port: Port,
    protocol: Protocol,
    targetGroupArn: DefaultActions[0]?.TargetGroupArn ?? "",
  }));
}

export type ObjectAttributes = { readonly [key: string]: string };

export async function findBalancerAttributes(
  { client }: AwsContext,
  LoadBalancerArn: string,
  signal?: AbortSignal,
): Promise<ObjectAttributes> {
  const options = { purpose: "read the attributes of the load balancer", signal };
  const { Attributes = [] } = await client.call("DescribeLoadBalancerAttributes", { LoadBalancerArn }, options);
  return Object.fromEntries(Attributes.map(({ Key = "", Value = "" }) => [Key, Value]));
}

export async function findTargetGroupAttributes(
  { client }: AwsContext,
  TargetGroupArn: string,
  signal?: AbortSignal,
): Promise<ObjectAttributes> {
  const options = { purpose: "read the attributes of the target group", signal };
  const { Attributes = [] } = await client.call("DescribeTargetGroupAttributes", { TargetGroupArn }, options);
  return Object.fromEntries(Attributes.map(({ Key = "", Value = "" }) => [Key, Value]));
}

/** The lineage that it is labeled with; null if it is not haplan's. */
export function lineageOf({ tags }: Pick<FoundBalancer, "tags">): string | null {
  return tagValue(tags, tagKeys.lineage);
}
