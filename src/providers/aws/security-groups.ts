/** The cluster's security groups: one for each role, which name each other as sources. */
import type { IpPermission, SecurityGroup } from "@aws-sdk/client-ec2";
import { HaplanError } from "../../base/haplan-error.ts";
import { present } from "./aws-client.ts";
import { type AwsContext, ownerOf, until } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { type GroupRole, groupName, groupRoles, ownerTags, tagKeys, tagValue } from "./aws-names.ts";
import { formatRule, ingressOf, parseRule } from "./ingress.ts";
import { findInstancesInGroup } from "./instances.ts";

export type GroupIds = { readonly [Role in GroupRole]: string };

export type FoundGroup = {
  readonly id: string;
  readonly name: string;
  readonly role: GroupRole | null;
  readonly lineage: string | null;
  readonly permissions: readonly IpPermission[];
};

const deleteTimeoutMs = 300_000;

/** The groups of the cluster that exist. */
export async function findGroups({ client, spec }: AwsContext, signal?: AbortSignal): Promise<readonly FoundGroup[]> {
  const Filters = [{ Name: `tag:${tagKeys.cluster}`, Values: [spec.name] }];
  const options = { purpose: "find the security groups", signal };
  const found = await client.all(
    "DescribeSecurityGroups",
    { Filters },
    options,
    ({ SecurityGroups }) => SecurityGroups,
  );
  return found.map(describe);
}

function describe({ GroupId, GroupName = "", Tags, IpPermissions = [] }: SecurityGroup): FoundGroup {
  const role = groupRoles.find((each) => each === tagValue(Tags, tagKeys.role)) ?? null;
  return {
    id: present(GroupId, "GroupId"),
    name: GroupName,
    role,
    lineage: tagValue(Tags, tagKeys.lineage),
    permissions: IpPermissions,
  };
}

/** Creates the groups that are missing, and lets in what the spec says. The groups of all roles: each is a source for another. */
export async function ensureGroups(
  context: AwsContext,
  lineage: string,
  vpcId: string,
  signal?: AbortSignal,
): Promise<GroupIds> {
  const found = await findGroups(context, signal);
  const ids: { [role: string]: string } = {};
  for (const role of groupRoles) {
    ids[role] =
      (await ownGroup(context, found, lineage, role)) ?? (await createGroup(context, { lineage, role, vpcId, signal }));
  }
  const groups = ids as GroupIds;
  for (const role of groupRoles) {
    const present = found.find((group) => group.id === groups[role]);
    await ensureIngress(context, groups, role, present?.permissions ?? [], signal);
  }
  return groups;
}

async function ownGroup(
  { spec }: AwsContext,
  found: readonly FoundGroup[],
  lineage: string,
  role: GroupRole,
): Promise<string | null> {
  const known = found.filter((each) => each.role === role);
  const own = known.find((each) => each.lineage === lineage);
  if (own !== undefined) return own.id;
  const [group] = known;
  if (group === undefined) return null;
  throw new HaplanError(
    "aws/foreign-group",
    `The security group ${group.name} (${group.id}) is that of another cluster with the name ${spec.name}, lineage ${group.lineage}\nGive this cluster another name, or delete the group if that cluster is gone`,
  );
}

type NewGroup = {
  readonly lineage: string;
  readonly role: GroupRole;
  readonly vpcId: string;
  readonly signal: AbortSignal | undefined;
};

/** Its name is unique in the VPC, so that a repeated call creates no second one. */
async function createGroup(context: AwsContext, { lineage, role, vpcId, signal }: NewGroup): Promise<string> {
  const { client, spec } = context;
  const name = groupName(spec.name, role);
  const tags = [...ownerTags(ownerOf(context, lineage), name), { Key: tagKeys.role, Value: role }];
  const input = {
    GroupName: name,
    Description: `${role} of the control plane ${spec.name}`,
    VpcId: vpcId,
    TagSpecifications: [{ ResourceType: "security-group" as const, Tags: [...tags] }],
  };
  const purpose = `create the security group ${name}`;
  try {
    return present((await client.call("CreateSecurityGroup", input, { purpose, signal })).GroupId, "GroupId");
  } catch (error) {
    if (causeCode(error) !== "InvalidGroup.Duplicate") throw error;
    // Right after it was created it may not be found yet.
    const check = async (): Promise<{ done: string } | { waiting: string }> => {
      const id = await ownGroup(context, await findGroups(context, signal), lineage, role);
      return id === null ? { waiting: "it exists, but has no tags of this cluster" } : { done: id };
    };
    const what = `the security group ${name} to be found`;
    return await until(context, { subject: name, what, timeoutMs: 15_000, signal }, check);
  }
}

async function ensureIngress(
  { client, spec }: AwsContext,
  groups: GroupIds,
  role: GroupRole,
  permissions: readonly IpPermission[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const wanted = ingressOf(spec, role);
  const found = describeIngress(permissions, groups);
  const missing = wanted.filter((rule) => !found.has(rule));
  const extra = [...found].filter(([rule]) => !wanted.includes(rule)).map(([, permission]) => permission);
  const GroupId = groups[role];
  const purpose = `change what the security group ${groupName(spec.name, role)} lets in`;
  if (missing.length > 0) {
    const input = { GroupId, IpPermissions: missing.map((rule) => permissionOf(rule, groups)) };
    await client.call("AuthorizeSecurityGroupIngress", input, { purpose, signal }).catch((error: unknown) => {
      if (causeCode(error) !== "InvalidPermission.Duplicate") throw error;
    });
  }
  if (extra.length > 0) {
    await client.call("RevokeSecurityGroupIngress", { GroupId, IpPermissions: extra }, { purpose, signal });
  }
}

function permissionOf(text: string, groups: GroupIds): IpPermission {
  const { port, from } = present(parseRule(text) ?? undefined, `rule ${text}`);
  const ports = { IpProtocol: "tcp", FromPort: port, ToPort: port };
  const role = groupRoles.find((each) => each === from);
  return role === undefined
    ? { ...ports, IpRanges: [{ CidrIp: from }] }
    : { ...ports, UserIdGroupPairs: [{ GroupId: groups[role] }] };
}

/** Each source of each permission as a rule's text, with the permission that revokes it alone. */
export function describeIngress(
  permissions: readonly IpPermission[],
  groups: Partial<GroupIds>,
): ReadonlyMap<string, IpPermission> {
  const roles = new Map(Object.entries(groups).map(([role, id]) => [id, role]));
  const rules = new Map<string, IpPermission>();
  for (const {
    IpProtocol,
    FromPort,
    ToPort,
    IpRanges = [],
    Ipv6Ranges = [],
    PrefixListIds = [],
    UserIdGroupPairs = [],
  } of permissions) {
    const base: IpPermission = {
      ...(IpProtocol === undefined ? {} : { IpProtocol }),
      ...(FromPort === undefined ? {} : { FromPort }),
      ...(ToPort === undefined ? {} : { ToPort }),
    };
    const add = (from: string, source: Partial<IpPermission>): void => {
      const isOnePort = IpProtocol === "tcp" && FromPort !== undefined && FromPort === ToPort;
      const text = isOnePort ? formatRule({ port: FromPort, from }) : `${otherPorts(base)} from ${from}`;
      rules.set(text, { ...base, ...source });
    };
    for (const { CidrIp = "" } of IpRanges) add(CidrIp, { IpRanges: [{ CidrIp }] });
    for (const { CidrIpv6 = "" } of Ipv6Ranges) add(CidrIpv6, { Ipv6Ranges: [{ CidrIpv6 }] });
    for (const { PrefixListId = "" } of PrefixListIds) add(PrefixListId, { PrefixListIds: [{ PrefixListId }] });
    for (const { GroupId = "" } of UserIdGroupPairs)
      add(roles.get(GroupId) ?? GroupId, { UserIdGroupPairs: [{ GroupId }] });
  }
  return rules;
}

function otherPorts({ IpProtocol, FromPort, ToPort }: IpPermission): string {
  const protocol = IpProtocol === "-1" ? "all" : (IpProtocol ?? "");
  return FromPort === undefined ? protocol : `${protocol}/${FromPort}-${ToPort}`;
}

/** Ids by role. */
export function groupIds(found: readonly FoundGroup[]): Partial<GroupIds> {
  return Object.fromEntries(found.flatMap(({ role, id }) => (role === null ? [] : [[role, id]])));
}

/** Removes the groups, as a part of removing `subject`: first what they let in, since a group that another one names cannot be deleted. */
export async function removeGroups(context: AwsContext, subject: string, signal?: AbortSignal): Promise<void> {
  const { client, own } = context;
  const found = (await findGroups(context, signal)).filter((group) => own.has(group));
  for (const { id, name, permissions } of found) {
    if (permissions.length === 0) continue;
    const input = { GroupId: id, IpPermissions: [...describeIngress(permissions, {}).values()] };
    const purpose = `empty the security group ${name}`;
    await client.call("RevokeSecurityGroupIngress", input, { purpose, signal }).catch((error: unknown) => {
      // Another haplan, which was stopped, has done it.
      if (!/^(InvalidPermission|InvalidGroup)\.NotFound$/.test(causeCode(error))) throw error;
    });
  }
  for (const { id, name } of found) {
    const purpose = `delete the security group ${name}`;
    const wait = {
      subject,
      what: `the network interfaces of the security group ${name} to be gone`,
      timeoutMs: deleteTimeoutMs,
      signal,
    };
    await until(context, wait, async () => {
      try {
        await client.call("DeleteSecurityGroup", { GroupId: id }, { purpose, signal });
        return { done: null };
      } catch (error) {
        if (causeCode(error) === "InvalidGroup.NotFound") return { done: null };
        if (causeCode(error) !== "DependencyViolation") throw error;
        await refuseUsers(context, { id, name }, signal);
        return { waiting: "some are left" };
      }
    });
  }
}

/** Network interfaces of what haplan has removed go by themselves. Instances of others stay for as long as others want. */
async function refuseUsers(
  context: AwsContext,
  { id, name }: Pick<FoundGroup, "id" | "name">,
  signal: AbortSignal | undefined,
): Promise<void> {
  const users = await findInstancesInGroup(context, id, signal);
  if (users.length === 0) return;
  const ids = users.map((user) => `${user.id} (${user.address})`).sort();
  const advice =
    "haplan leaves instances that are not its own. Take them out of the group, or terminate them, and run haplan again";
  throw new HaplanError(
    "aws/group-in-use",
    `The security group ${name} (${id}) is that of ${ids.join(", ")} as well\n${advice}`,
  );
}
