/** The target group of the load balancer, with its health check. */
import { HaplanError } from "../../base/haplan-error.ts";
import { healthPort, healthScheme } from "../../units/health-port.ts";
import { present } from "./aws-client.ts";
import { type AwsContext, ownerOf } from "./aws-context.ts";
import { balancerObjectName, ownerTags, type Tag, tagKeys, tagValue } from "./aws-names.ts";
import { type FoundBalancer, type FoundTargetGroup, findTargetGroup, lineageOf } from "./balancer-objects.ts";
import type { Network } from "./network.ts";

/** Beside its port and protocol. */
const healthCheck = {
  HealthCheckPath: "/readyz",
  HealthCheckIntervalSeconds: 5,
  HealthCheckTimeoutSeconds: 3,
  HealthyThresholdCount: 2,
  UnhealthyThresholdCount: 2,
} as const;

/** @throws HaplanError `aws/foreign-load-balancer` */
export async function ensureTargetGroup(
  context: AwsContext,
  lineage: string,
  { vpcId }: Network,
  signal?: AbortSignal,
): Promise<FoundTargetGroup> {
  const { spec, client } = context;
  const name = balancerObjectName(spec.name);
  const check = {
    HealthCheckPort: String(healthPort(spec)),
    HealthCheckProtocol: healthScheme(spec) === "https" ? ("HTTPS" as const) : ("HTTP" as const),
    ...healthCheck,
  };
  const known = await findTargetGroup(context, signal);
  if (known === null) {
    const input = {
      Name: name,
      Protocol: "TCP" as const,
      Port: spec.controlPlane.clientPort,
      VpcId: vpcId,
      TargetType: "ip" as const,
      ...check,
      Tags: [...ownerTags(ownerOf(context, lineage), name)],
    };
    await client.call("CreateTargetGroup", input, { purpose: `create the target group ${name}`, signal });
    return present((await findTargetGroup(context, signal)) ?? undefined, `target group ${name}`);
  }
  if (!(await isOwnTargetGroup(context, known, lineage, signal))) throw foreignObject("target group", name);
  const isAsWanted =
    known.healthPort === check.HealthCheckPort &&
    known.healthPath === check.HealthCheckPath &&
    known.healthProtocol === check.HealthCheckProtocol &&
    known.intervalSeconds === check.HealthCheckIntervalSeconds &&
    known.timeoutSeconds === check.HealthCheckTimeoutSeconds &&
    known.healthyThreshold === check.HealthyThresholdCount &&
    known.unhealthyThreshold === check.UnhealthyThresholdCount;
  if (isAsWanted) return known;
  const input = { TargetGroupArn: known.arn, ...check };
  await client.call("ModifyTargetGroup", input, { purpose: `change the health check of ${name}`, signal });
  return present((await findTargetGroup(context, signal)) ?? undefined, `target group ${name}`);
}

/** Whether it is of this lineage. */
export async function isOwnTargetGroup(
  context: AwsContext,
  group: FoundTargetGroup,
  lineage: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const options = { purpose: "read the tags of the target group", signal };
  const { TagDescriptions = [] } = await context.client.call("DescribeElbTags", { ResourceArns: [group.arn] }, options);
  const tags: readonly Tag[] = (TagDescriptions[0]?.Tags ?? []).map(({ Key = "", Value = "" }) => ({ Key, Value }));
  return lineageOf({ tags }) === lineage;
}

export function foreignObject(what: string, name: string): HaplanError {
  const advice = "Give this cluster another name, or delete it if its cluster is gone";
  return new HaplanError(
    "aws/foreign-load-balancer",
    `There is a ${what} ${name} that is not of this cluster\n${advice}`,
  );
}

/** What has the name of the cluster's load balancer, and no lineage. */
export function unlabeledBalancer({ arn, tags }: FoundBalancer, lineage: string | null): HaplanError {
  const cluster = tagValue(tags, tagKeys.cluster);
  const what = cluster === null ? "haplan's tags" : `the tag ${tagKeys.lineage}`;
  const tagsOf = `Key=${tagKeys.lineage},Value=${lineage}`;
  const advice = `If it is that of this cluster, put the tag back: \`aws elbv2 add-tags --resource-arns ${arn} --tags ${tagsOf}\`. Otherwise give this cluster another name`;
  return new HaplanError(
    "aws/unlabeled-load-balancer",
    `The load balancer ${arn} has the name of this cluster's, and lacks ${what}\n${advice}`,
  );
}
