/**
 * The network load balancer of a cluster: internal, one TCP target group with the masters' addresses, and a listener for
 * each port. Every call brings what is there to what is wanted, so that a repeated one goes on.
 */
import { canonicalDigest } from "../../base/canonical-json.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { Attributes } from "../../plan/resource.ts";
import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import type {
  LoadBalancer,
  LoadBalancerObservation,
  LoadBalancerReport,
  WantedLoadBalancer,
} from "../load-balancer.ts";
import { present } from "./aws-client.ts";
import { type AwsContext, ownerOf, until } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { balancerObjectName, ownerTags } from "./aws-names.ts";
import { ensureAttributes, ownAttributes } from "./balancer-attributes.ts";
import {
  type FoundBalancer,
  type FoundListener,
  type FoundTargetGroup,
  findBalancer,
  findListeners,
  findTargetGroup,
  findTargets,
  lineageOf,
} from "./balancer-objects.ts";
import { backendState, ensureTargets, targetText, untilTargetsServe } from "./balancer-targets.ts";
import { findNetwork, type Network, subnetOf } from "./network.ts";
import { describeIngress, ensureGroups, findGroups, groupIds } from "./security-groups.ts";
import type { SharedObjects } from "./shared-objects.ts";
import { ensureTargetGroup, foreignObject, isOwnTargetGroup, unlabeledBalancer } from "./target-group.ts";

/** A new load balancer takes two to four minutes. */
const provisionTimeoutMs = 600_000;
const removeTimeoutMs = 300_000;

export class NetworkLoadBalancer implements LoadBalancer {
  readonly #context: AwsContext;
  /** Removes the security groups and the like once nothing uses them. */
  readonly #shared: Pick<SharedObjects, "removeUnused">;

  constructor(context: AwsContext, shared: Pick<SharedObjects, "removeUnused">) {
    this.#context = context;
    this.#shared = shared;
  }

  async observe(lineage: string | null, signal?: AbortSignal): Promise<LoadBalancerObservation> {
    try {
      const balancer = await findBalancer(this.#context, signal);
      if (balancer === null || (lineageOf(balancer) === null && lineage === null)) return { kind: "absent" };
      if (lineageOf(balancer) === null) throw unlabeledBalancer(balancer, lineage);
      const labeled = {
        what: `the load balancer ${balancerObjectName(this.#context.spec.name)}`,
        lineage: lineageOf(balancer) ?? "",
      };
      if (lineage !== null && labeled.lineage !== lineage) return { kind: "absent", labeled };
      const group = await findTargetGroup(this.#context, signal);
      const definitionDigest = group === null ? "" : await this.#digest(balancer, group, signal);
      const running = balancer.state !== "failed";
      return { kind: "present", labeled, running, address: balancer.dnsName, definitionDigest };
    } catch (error) {
      if (signal?.aborted || !(error instanceof HaplanError)) throw error;
      return { kind: "unreachable", reason: errorText(error) };
    }
  }

  async ensure(wanted: WantedLoadBalancer, signal?: AbortSignal): Promise<Attributes> {
    const context = this.#context;
    const { lineage, config } = wanted;
    const network = await findNetwork(context, signal);
    const groups = await ensureGroups(context, lineage, network.vpcId, signal);
    const group = await ensureTargetGroup(context, lineage, network, signal);
    const balancer = await this.#ensureBalancer(lineage, network, groups["load-balancer"], signal);
    await ensureAttributes(context, balancer, group, signal);
    await this.#ensureTags(lineage, balancer, group, signal);
    const targets = config.backends.map(({ address, port }) => ({ address, port }));
    await ensureTargets(context, group, targets, signal);
    const ports = config.listens.map((listen) => Number(/\d+$/.exec(listen)?.[0]));
    await this.#ensureListeners(lineage, balancer, group, ports, signal);
    await untilTargetsServe(context, group, targets, signal);
    const settled = present((await findBalancer(context, signal)) ?? undefined, "load balancer");
    return {
      address: balancer.dnsName,
      arn: balancer.arn,
      dns_name: balancer.dnsName,
      target_group_arn: group.arn,
      definitionDigest: await this.#digest(settled, group, signal),
    };
  }

  async remove(subject: string, _hasVirtualAddress: boolean, signal?: AbortSignal): Promise<void> {
    const context = this.#context;
    const { client } = context;
    const balancer = await findBalancer(context, signal);
    const group = await findTargetGroup(context, signal);
    const name = balancerObjectName(context.spec.name);
    const isOwnGroup = group !== null && (await isOwnTargetGroup(context, group, context.own.get(), signal));
    // The target group is that of this load balancer, and cannot be deleted before it.
    if (balancer !== null && isOwnGroup && lineageOf(balancer) === null)
      throw unlabeledBalancer(balancer, context.own.get());
    if (balancer !== null && context.own.has({ lineage: lineageOf(balancer) })) {
      const purpose = `delete the load balancer ${name}`;
      await client.call("DeleteLoadBalancer", { LoadBalancerArn: balancer.arn }, { purpose, signal });
      const wait = { subject, what: "the load balancer to be gone", timeoutMs: removeTimeoutMs, signal };
      await until(context, wait, async () => {
        const left = await findBalancer(context, signal);
        return left?.arn === balancer.arn ? { waiting: "AWS still has it" } : { done: null };
      });
    }
    if (group !== null && isOwnGroup) {
      const purpose = `delete the target group ${name}`;
      const wait = { subject, what: "the target group to be unused", timeoutMs: removeTimeoutMs, signal };
      await until(context, wait, async () => {
        try {
          await client.call("DeleteTargetGroup", { TargetGroupArn: group.arn }, { purpose, signal });
          return { done: null };
        } catch (error) {
          if (/^TargetGroupNotFound/.test(causeCode(error))) return { done: null };
          if (!/^ResourceInUse/.test(causeCode(error))) throw error;
          return { waiting: "the load balancer still uses it" };
        }
      });
    }
    await this.#shared.removeUnused(subject, signal);
  }

  removeVirtualAddress: LoadBalancer["removeVirtualAddress"] = async () => undefined;
  virtualAddress: LoadBalancer["virtualAddress"] = async () => null;

  async status(_name: string, signal?: AbortSignal): Promise<LoadBalancerReport | null> {
    const group = await findTargetGroup(this.#context, signal);
    if (group === null) return null;
    const targets = await findTargets(this.#context, group.arn, signal);
    const { masters } = this.#context.spec.controlPlane;
    return {
      backends: targets.map(({ address, state }) => ({
        name: masters.find((master) => master.address === address)?.name ?? address,
        state: backendState(state),
      })),
    };
  }

  /** A digest of all that haplan determines, as AWS has it. */
  async #digest(balancer: FoundBalancer, group: FoundTargetGroup, signal?: AbortSignal): Promise<string> {
    const context = this.#context;
    const [attributes, listeners, targets, securityGroups] = await Promise.all([
      ownAttributes(context, balancer, group, signal),
      findListeners(context, balancer.arn, signal),
      findTargets(context, group.arn, signal),
      findGroups(context, signal),
    ]);
    const groups = securityGroups.filter((each) => each.lineage === lineageOf(balancer));
    const ids = groupIds(groups);
    const own = groups.find(({ role }) => role === "load-balancer");
    return canonicalDigest({
      internal: balancer.internal,
      subnets: [...balancer.subnetIds].sort(),
      securityGroups: balancer.groupIds,
      ingress: [...describeIngress(own?.permissions ?? [], ids).keys()].sort(),
      tags: Object.fromEntries(balancer.tags.map(({ Key, Value }) => [Key, Value])),
      attributes: attributes.balancer,
      targetGroup: { ...group, ...attributes.group },
      listeners: listeners
        .map(({ port, protocol, targetGroupArn }) => ({ port, protocol, targetGroupArn }))
        .sort((a, b) => a.port - b.port),
      targets: targets.map(targetText).sort(),
    });
  }

  /** In the subnets of the masters: AWS sends nothing to targets in other zones. */
  async #ensureBalancer(
    lineage: string,
    network: Network,
    groupId: string,
    signal?: AbortSignal,
  ): Promise<FoundBalancer> {
    const context = this.#context;
    const { client, spec } = context;
    const name = balancerObjectName(spec.name);
    const byZone = new Map(
      spec.controlPlane.masters.map((master) => subnetOf(network, master)).map(({ zone, id }) => [zone, id]),
    );
    const subnets = [...byZone.values()].sort();
    const known = await findBalancer(context, signal);
    if (known === null) {
      const input = {
        Name: name,
        Type: "network" as const,
        Scheme: "internal" as const,
        Subnets: subnets,
        SecurityGroups: [groupId],
        Tags: [...ownerTags(ownerOf(context, lineage), name)],
      };
      await client.call("CreateLoadBalancer", input, { purpose: `create the load balancer ${name}`, signal });
    } else {
      if (lineageOf(known) === null) throw unlabeledBalancer(known, lineage);
      if (lineageOf(known) !== lineage) throw foreignObject("load balancer", name);
      if (!known.groupIds.includes(groupId)) {
        const options = { purpose: `put the load balancer ${name} back into its security group`, signal };
        const SecurityGroups = [...known.groupIds, groupId];
        await client.call("SetSecurityGroups", { LoadBalancerArn: known.arn, SecurityGroups }, options);
      }
      const zones = known.subnetIds.map((id) => network.subnets.find((subnet) => subnet.id === id)?.zone ?? id);
      if ([...byZone.keys()].some((zone) => !zones.includes(zone))) {
        const Subnets = [...new Set([...known.subnetIds, ...subnets])];
        const options = { purpose: `add zones to the load balancer ${name}`, signal };
        await client.call("SetSubnets", { LoadBalancerArn: known.arn, Subnets }, options);
      }
    }
    const wait = {
      subject: loadBalancerName,
      what: `the load balancer ${name} to be provisioned`,
      timeoutMs: provisionTimeoutMs,
      intervalMs: 5_000,
      signal,
    };
    return await until(context, wait, async () => {
      const found = await findBalancer(context, signal);
      return found?.state === "active" ? { done: found } : { waiting: `it is ${found?.state ?? "not found yet"}` };
    });
  }

  async #ensureTags(
    lineage: string,
    balancer: FoundBalancer,
    group: FoundTargetGroup,
    signal?: AbortSignal,
  ): Promise<void> {
    const context = this.#context;
    const wanted = ownerTags(ownerOf(context, lineage), balancerObjectName(context.spec.name));
    const missing = wanted.filter(({ Key, Value }) =>
      balancer.tags.every((tag) => tag.Key !== Key || tag.Value !== Value),
    );
    const extra = balancer.tags.filter(({ Key }) => !Key.startsWith("aws:") && wanted.every((tag) => tag.Key !== Key));
    const ResourceArns = [balancer.arn, group.arn];
    const purpose = "change the tags of the load balancer";
    if (missing.length > 0)
      await context.client.call("AddElbTags", { ResourceArns, Tags: missing }, { purpose, signal });
    if (extra.length > 0) {
      const TagKeys = extra.map(({ Key }) => Key);
      await context.client.call("RemoveElbTags", { ResourceArns, TagKeys }, { purpose, signal });
    }
  }

  async #ensureListeners(
    lineage: string,
    balancer: FoundBalancer,
    group: FoundTargetGroup,
    ports: readonly number[],
    signal?: AbortSignal,
  ): Promise<void> {
    const context = this.#context;
    const found = await findListeners(context, balancer.arn, signal);
    const isWanted = ({ port, protocol, targetGroupArn }: FoundListener): boolean =>
      ports.includes(port) && protocol === "TCP" && targetGroupArn === group.arn;
    for (const listener of found.filter((each) => !isWanted(each))) {
      const purpose = `delete the listener of port ${listener.port}`;
      await context.client.call("DeleteListener", { ListenerArn: listener.arn }, { purpose, signal });
    }
    const present = new Set(found.filter(isWanted).map(({ port }) => port));
    for (const Port of ports.filter((port) => !present.has(port))) {
      const input = {
        LoadBalancerArn: balancer.arn,
        Protocol: "TCP" as const,
        Port,
        DefaultActions: [{ Type: "forward" as const, TargetGroupArn: group.arn }],
        Tags: [...ownerTags(ownerOf(context, lineage), `${balancerObjectName(context.spec.name)}-${Port}`)],
      };
      await context.client.call("CreateListener", input, { purpose: `create the listener of port ${Port}`, signal });
    }
  }
}
