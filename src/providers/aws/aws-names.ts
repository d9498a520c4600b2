/** Names, tags and idempotency tokens of what haplan creates in AWS: derived, so that an apply after a crash finds it. Pure. */
import { createHash } from "node:crypto";

export type Tag = { readonly Key: string; readonly Value: string };

/** Roles that a security group stands for. */
export const groupRoles = ["masters", "workers", "load-balancer"] as const;
export type GroupRole = (typeof groupRoles)[number];

export const tagKeys = {
  cluster: "haplan:cluster",
  lineage: "haplan:lineage",
  machine: "haplan:machine",
  generation: "haplan:generation",
  role: "haplan:role",
} as const;

export type Owner = { readonly cluster: string; readonly lineage: string; readonly extra: readonly Tag[] };

/** Tags of everything that is a part of the cluster. */
export function ownerTags({ cluster, lineage, extra }: Owner, name: string): readonly Tag[] {
  return [
    { Key: "Name", Value: name },
    { Key: tagKeys.cluster, Value: cluster },
    { Key: tagKeys.lineage, Value: lineage },
    ...extra,
  ];
}

/** Tags of the spec, `Key=Value` each. */
export function parseTags(written: readonly string[]): readonly Tag[] {
  return written.map((text) => {
    const at = text.indexOf("=");
    return { Key: text.slice(0, at), Value: text.slice(at + 1) };
  });
}

/** The value of a tag; null if there is none. */
export function tagValue(
  tags: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] | undefined,
  key: string,
): string | null {
  return tags?.find((tag) => tag.Key === key)?.Value ?? null;
}

/**
 * The token of RunInstances: a repeated call with it returns the same instance. AWS remembers tokens of terminated instances,
 * so that another `attempt` is needed once the instance of one has been terminated. 64 characters, the most that AWS takes.
 */
export function clientToken(lineage: string, machine: string, generation: number, attempt: number): string {
  return createHash("sha256")
    .update(JSON.stringify(["haplan_machine", lineage, machine, generation, attempt]))
    .digest("hex");
}

/** Names of load balancers and target groups have at most 32 letters, digits and hyphens. */
export function balancerObjectName(cluster: string): string {
  const name = `haplan-${cluster}`;
  if (name.length <= 32) return name;
  const digest = createHash("sha256").update(cluster).digest("hex").slice(0, 8);
  return `${name.slice(0, 23).replace(/-+$/, "")}-${digest}`;
}

export function groupName(cluster: string, role: GroupRole): string {
  return `haplan-${cluster}-${role}`;
}

/** Instances of a group run on different racks. */
export function placementGroupName(cluster: string, zone: string): string {
  return `haplan-${cluster}-${zone}`;
}
