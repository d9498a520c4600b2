/**
 * What haplan creates in AWS under the types and attribute names of Terraform's AWS provider, so that tools which read plans
 * of Terraform price it and check policies over it. Pure.
 */
import type { Json } from "../../base/json.ts";
import type { ExportedResource, ExportRequest } from "../../plan/provider-model.ts";
import type { Attributes } from "../../plan/resource.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { healthScheme, metricsPort } from "../../units/health-port.ts";
import {
  balancerObjectName,
  type GroupRole,
  groupName,
  groupRoles,
  parseTags,
  placementGroupName,
  tagKeys,
} from "./aws-names.ts";
import { ingressOf, parseRule } from "./ingress.ts";

/** The provider whose types these are. */
const providerName = "registry.terraform.io/hashicorp/aws";

export function awsResources(spec: ClusterSpec, resource: ExportRequest): readonly ExportedResource[] {
  if (resource.type === "haplan_machine") return machineResources(spec, resource);
  return resource.type === "haplan_load_balancer" ? balancerResources(spec, resource) : [];
}

/** `known`: undefined for what is known after apply. */
function exported(type: string, name: string, known: { readonly [name: string]: Json | undefined }): ExportedResource {
  const entries = Object.entries(known);
  return {
    providerName,
    type,
    name,
    values: Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined)),
    unknown: entries.flatMap(([key, value]) => (value === undefined ? [key] : [])),
  };
}

function machineResources(spec: ClusterSpec, { name, attributes }: ExportRequest): readonly ExportedResource[] {
  const zone = attributes["availability_zone"] ?? attributes["zone"] ?? undefined;
  const image = String(attributes["image"]);
  const tags = tagsOf(spec, `${spec.name}-${name}`, { [tagKeys.machine]: name });
  const instance = exported("aws_instance", name, {
    id: attributes["instance_id"],
    ami: attributes["ami"] ?? (image.startsWith("ami-") ? image : undefined),
    instance_type: attributes["instance_type"],
    private_ip: attributes["address"],
    availability_zone: zone,
    subnet_id: attributes["subnet_id"],
    vpc_security_group_ids: undefined,
    key_name: attributes["key_name"] ?? null,
    iam_instance_profile: attributes["iam_instance_profile"] ?? null,
    placement_group: attributes["placement_group"] ?? null,
    metadata_options: [{ http_endpoint: "enabled", http_tokens: "required", http_put_response_hop_limit: 1 }],
    tags,
  });
  if (attributes["volume_size"] === undefined) return [instance];
  const volume = exported("aws_ebs_volume", name, {
    id: attributes["volume_id"],
    availability_zone: zone,
    type: "gp3",
    size: attributes["volume_size"],
    iops: attributes["volume_iops"],
    throughput: attributes["volume_throughput"],
    encrypted: true,
    kms_key_id: attributes["volume_kms_key"] ?? undefined,
    tags,
  });
  return [instance, volume];
}

function balancerResources(spec: ClusterSpec, { name, attributes }: ExportRequest): readonly ExportedResource[] {
  const label = balancerObjectName(spec.name);
  const tags = tagsOf(spec, label);
  const balancer = exported("aws_lb", name, {
    arn: attributes["arn"],
    dns_name: attributes["dns_name"],
    name: label,
    internal: attributes["internal"],
    load_balancer_type: "network",
    enable_cross_zone_load_balancing: attributes["enable_cross_zone_load_balancing"],
    security_groups: undefined,
    subnets: undefined,
    tags,
  });
  const healthProtocol = healthScheme(spec).toUpperCase();
  const targetGroup = exported("aws_lb_target_group", name, {
    arn: attributes["target_group_arn"],
    name: label,
    port: spec.controlPlane.clientPort,
    protocol: "TCP",
    target_type: "ip",
    vpc_id: vpcOf(spec),
    preserve_client_ip: String(attributes["preserve_client_ip"]),
    deregistration_delay: String(attributes["deregistration_delay"]),
    connection_termination: true,
    health_check: [{ protocol: healthProtocol, path: "/readyz", port: String(metricsPort), interval: 5, timeout: 3 }],
    tags,
  });
  const listeners = spec.loadBalancer.ports.map((port) =>
    exported("aws_lb_listener", `${name}-${port}`, {
      arn: undefined,
      load_balancer_arn: attributes["arn"],
      port,
      protocol: "TCP",
      default_action: [{ type: "forward" }],
    }),
  );
  const groups = groupRoles.map((role) => securityGroup(spec, role));
  return [balancer, targetGroup, ...listeners, ...groups, ...placementGroups(spec)];
}

function securityGroup(spec: ClusterSpec, role: GroupRole): ExportedResource {
  const name = groupName(spec.name, role);
  const ingress = ingressOf(spec, role).flatMap((text): Attributes[] => {
    const rule = parseRule(text);
    if (rule === null) return [];
    const isGroup = groupRoles.some((each) => each === rule.from);
    return [
      {
        protocol: "tcp",
        from_port: rule.port,
        to_port: rule.port,
        cidr_blocks: isGroup ? [] : [rule.from],
        // By their names: their ids are known after apply.
        security_groups: isGroup ? [groupName(spec.name, rule.from as GroupRole)] : [],
        description: text,
      },
    ];
  });
  const tags = tagsOf(spec, name, { [tagKeys.role]: role });
  return exported("aws_security_group", role, { id: undefined, name, vpc_id: vpcOf(spec), ingress, tags });
}

function placementGroups(spec: ClusterSpec): readonly ExportedResource[] {
  const zones = spec.controlPlane.masters.flatMap(({ zone }) => zone ?? []);
  const shared = new Set(zones.filter((zone, at) => zones.indexOf(zone) !== at));
  return [...shared].map((zone) => {
    const name = placementGroupName(spec.name, zone);
    return exported("aws_placement_group", zone, { name, strategy: "spread", tags: tagsOf(spec, name) });
  });
}

function vpcOf({ provider }: ClusterSpec): string | undefined {
  const vpc = String(provider["vpc"]);
  return vpc.startsWith("vpc-") ? vpc : undefined;
}

function tagsOf(spec: ClusterSpec, name: string, more: Attributes = {}): Attributes {
  const written = parseTags(spec.provider["tags"] as readonly string[]).map(({ Key, Value }) => [Key, Value] as const);
  return { Name: name, [tagKeys.cluster]: spec.name, ...more, ...Object.fromEntries(written) };
}
