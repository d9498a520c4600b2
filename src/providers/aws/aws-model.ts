/** The pure half of the provider `aws`: what a plan shows of an instance and of the load balancer. */
import type { ProviderModel } from "../../plan/provider-model.ts";
import type { Attributes } from "../../plan/resource.ts";
import type { ClusterSpec, ProviderSettings } from "../../spec/cluster-spec.ts";
import type { MachineHost } from "../../spec/machine-hosts.ts";
import { healthScheme } from "../../units/health-port.ts";
import type { CallLimits } from "../machine-calls.ts";
import { sshAttributes } from "../ssh/ssh-model.ts";
import { balancerObjectName, placementGroupName } from "./aws-names.ts";
import { ingressOf } from "./ingress.ts";
import { awsResources } from "./terraform-resources.ts";

export const awsModel: ProviderModel = {
  describeMachine: (spec, host) => ({
    attributes: machineAttributes(spec, host),
    unknown: unknownOf(spec, host),
    optional: host.role === "master" ? [...optional, ...optionalOfMasters] : [...optional],
    ...(host.role === "master"
      ? { replacedBy: [...volumeOfItsOwn], whileStopped: { names: [...anotherInstance], renews: [...renewed] } }
      : { replacedBy: [...volumeOfItsOwn, ...anotherInstance] }),
  }),
  describeLoadBalancer: (spec) => ({
    attributes: balancerAttributes(spec),
    // AWS chooses its name in the DNS, which is its address.
    unknown: ["arn", "dns_name", "target_group_arn"],
    replacedBy: ["name", "internal"],
    hosts: [],
  }),
  exportResource: awsResources,
};

/** What an instance has from its creation on. Another instance of the same machine takes over the data volume. */
export const anotherInstance = ["image", "instance_type", "key_name", "placement_group"] as const;
const renewed = ["instance_id", "ami", "machine_id", "host_key"] as const;
/** What the data volume cannot be taken along to. */
const volumeOfItsOwn = ["volume_kms_key", "vpc"] as const;
const optional = ["key_name", "iam_instance_profile"] as const;
const optionalOfMasters = ["placement_group", "volume_kms_key"] as const;

function unknownOf({ provider }: ClusterSpec, { role, settings }: MachineHost): readonly string[] {
  const ssh = (settings?.["ssh"] ?? {}) as ProviderSettings;
  return [
    ...["instance_id", "ami", "subnet_id", "availability_zone", "owner_id", "machine_id"],
    ...(role === "master" ? ["volume_id"] : []),
    ...(provider["hostKeyFrom"] === "console" && ssh["hostKey"] === undefined ? ["host_key"] : []),
  ];
}

/** An instance boots in about a minute, and its first artifact may take minutes. */
const callTimeoutMs = 900_000;

export function awsLimits(spec: ClusterSpec): CallLimits {
  return { machinesAtOnce: Number(spec.provider["connections"] ?? 10), callTimeoutMs };
}

function machineAttributes(spec: ClusterSpec, host: MachineHost): Attributes {
  const { provider } = spec;
  const isMaster = host.role === "master";
  const volume = provider["volume"] as ProviderSettings;
  const instanceType = String(host.settings?.["instanceType"] ?? provider["instanceType"]);
  return {
    image: String(provider["image"] ?? defaultImage(instanceType)),
    instance_type: instanceType,
    vpc: String(provider["vpc"]),
    key_name: provider["keyName"] ?? null,
    iam_instance_profile: provider["instanceProfile"] ?? null,
    ...(isMaster
      ? {
          placement_group: placementGroupOf(spec, host.zone),
          volume_size: volume["sizeGiB"]!,
          volume_iops: volume["iops"]!,
          volume_throughput: volume["throughputMiBs"]!,
          volume_kms_key: volume["kmsKey"] ?? null,
          volume_state: "attached",
        }
      : {}),
    instance_state: "running",
    ingress: ingressOf(spec, isMaster ? "masters" : "workers"),
    tags: sortedTags(provider),
    ...sshAttributes(provider, host),
  };
}

export function sortedTags(provider: ProviderSettings): readonly string[] {
  return [...(provider["tags"] as readonly string[])].sort();
}

/** Masters of one zone are kept on different racks; AWS takes at most seven for a zone. */
function placementGroupOf({ name, controlPlane }: ClusterSpec, zone: string | null): string | null {
  if (zone === null) return null;
  return controlPlane.masters.filter((master) => master.zone === zone).length < 2
    ? null
    : placementGroupName(name, zone);
}

/** Types of Graviton, such as t4g.small and m7gd.large; g5.xlarge has a GPU. */
const graviton = /^(a1|[a-z]+\d+g[a-z]*)(-[a-z]+)?\./;

function defaultImage(instanceType: string): string {
  return `ssm:/aws/service/debian/release/13/latest/${graviton.test(instanceType) ? "arm64" : "amd64"}`;
}

function balancerAttributes(spec: ClusterSpec): Attributes {
  return {
    name: balancerObjectName(spec.name),
    load_balancer_type: "network",
    internal: true,
    enable_cross_zone_load_balancing: true,
    preserve_client_ip: false,
    deregistration_delay: 20,
    health_check: `${healthScheme(spec).toUpperCase()} /readyz every 5 s`,
    ingress: ingressOf(spec, "load-balancer"),
    tags: sortedTags(spec.provider),
  };
}
