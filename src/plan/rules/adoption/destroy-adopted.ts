/**
 * Destroys a cluster with adopted members: haplan does not stop what it did not start. Its own members are removed from
 * the cluster, which is then as before; an adopted one is removed only if it is targeted (`-target`).
 */

import { majorityOf } from "../../../base/majority.ts";
import { balancerOf } from "../../../units/load-balancer-unit.ts";
import type { MemberView } from "../../cluster-view.ts";
import type { PlanBuilder } from "../../plan-builder.ts";
import type { Planning } from "../../planning.ts";
import { type ResourceAddress, resourceAddress } from "../../resource.ts";
import { backendsOf, presentBalancers, toldTargets, wantedTargets } from "../endpoint.ts";
import { machineAddress } from "../machines.ts";
import { refOf } from "../membership.ts";
import { hasAdopted } from "./adoption.ts";

const ofMember = /^haplan_(?:raft_member|agent|machine)\.(.+)$/;

/** Masters that are to be removed by name; empty if the whole cluster is, or only resources around it. */
export function namedMembers({ spec, target = [], view }: Planning): ReadonlySet<string> {
  const masters = new Set(spec.controlPlane.masters.map((master) => master.name));
  const named = target.flatMap((address) => ofMember.exec(address)?.[1] ?? []);
  return new Set(named.filter((name) => masters.has(name) || view.resources.has(memberAddress(name))));
}

const memberAddress = (name: string): ResourceAddress => resourceAddress("haplan_raft_member", name);

/** Checks whether masters may be removed by name, and reports why not. */
export function checkNamed(planning: Planning, named: ReadonlySet<string>): boolean {
  const { view, builder } = planning;
  const names = [...named].join(", ");
  const staying = view.members.filter((member) => member.voter && !named.has(member.name));
  if (!hasAdopted(planning.spec)) {
    builder.refuse(
      "plan/target-masters",
      `${names} cannot be destroyed alone`,
      "The others would keep a member that never answers. Remove it from the spec and apply: then it is removed from the cluster first. Without -target, everything is destroyed.",
    );
  } else if (planning.target?.some((address) => !ofMember.test(address))) {
    builder.refuse(
      "plan/target-mixed",
      `Members (${names}) and other resources cannot be destroyed together`,
      "A member is removed from a cluster that keeps running with its load balancer. Target the members alone, and the rest in another run.",
    );
  } else if (staying.length === 0) {
    builder.refuse(
      "plan/last-member",
      "No member would be left",
      "The last member of a cluster cannot be removed from it; stop it where it was started. Without -target, haplan removes what it has created and leaves adopted members alone.",
    );
  }
  return builder.refusals.length === 0;
}

/**
 * First from the load balancer, then from the membership; resources that haplan created for it are destroyed as well.
 */
export function leadOut(planning: Planning, named: ReadonlySet<string>): void {
  const { view, builder } = planning;
  const leaving = view.members.filter((member) => named.has(member.name));
  const staying = view.members.filter((member) => member.voter && !named.has(member.name));
  takeFromLoadBalancer(planning, named);
  passLeadership(leaving, staying, [], builder);
  for (const member of leaving) {
    const [address, agent, machine] = addressesOf(member.name);
    builder.setAction(address, "delete", member.adopted ? "targeted: removed from the cluster" : null);
    builder.chain({ kind: "removeMember", member: member.name, memberId: member.id }, [address]);
    if (!view.machines.has(member.name)) continue;
    for (const gone of [agent, machine]) builder.setAction(gone, "delete");
    const stopped = builder.chain({ kind: "stopAgent", member: member.name }, [address, agent]);
    builder.add({ kind: "destroyMachine", machine: member.name }, [address, agent, machine], [stopped]);
  }
  const adopted = leaving.filter((member) => member.adopted).map((member) => member.name);
  if (adopted.length === 0) return;
  builder.warn(
    "plan/adopted-led-out",
    `${adopted.join(", ")} ${adopted.length === 1 ? "was" : "were"} adopted and will be removed from the cluster`,
    "haplan changes neither the process nor its data: a removed member stops by itself or no longer serves. Then remove its endpoint from adopt.endpoints; otherwise the next plan adopts it again.",
  );
}

function addressesOf(name: string): readonly [ResourceAddress, ResourceAddress, ResourceAddress] {
  return [memberAddress(name), resourceAddress("haplan_agent", name), machineAddress(name)];
}

function takeFromLoadBalancer(planning: Planning, named: ReadonlySet<string>): void {
  const { builder } = planning;
  const served = planning.observed.backends.map((backend) => backend.name);
  const gone = served.filter((name) => named.has(name)).map((name) => resourceAddress("haplan_lb_backend", name));
  const present = presentBalancers(planning);
  if (gone.length === 0 || present.length === 0) return;
  for (const address of gone) builder.setAction(address, "delete");
  const staying = new Map([...toldTargets(planning)].filter(([name]) => !named.has(name)));
  const backends = backendsOf(staying, wantedTargets(planning.spec));
  for (const [place, balancer] of present.entries()) {
    const address = resourceAddress("haplan_load_balancer", balancerOf(balancer));
    builder.setAction(address, "update", "masters leave");
    const changed = place === present.length - 1 ? [address, ...gone] : [address];
    builder.chain({ kind: "updateLoadBalancer", ...backends, ...balancer }, changed);
  }
}

function passLeadership(
  leaving: readonly MemberView[],
  staying: readonly MemberView[],
  after: readonly (string | null)[],
  builder: PlanBuilder,
): void {
  const leader = leaving.find((member) => member.leader);
  const successor = staying.find((member) => member.healthy);
  if (leader === undefined || successor === undefined) return;
  builder.chain({ kind: "moveLeader", from: refOf(leader), to: refOf(successor) }, [], after);
}

/** `after` are the steps that remove the load balancer's targets. */
export function leaveAdopted({ spec, view, builder }: Planning, after: readonly (string | null)[]): void {
  const staying = view.members.filter((member) => member.voter && member.adopted);
  const own = view.members.filter((member) => !member.adopted && view.machines.has(member.name));
  passLeadership(own, staying, after, builder);
  for (const member of own) {
    const address = memberAddress(member.name);
    builder.setAction(address, "delete");
    builder.chain({ kind: "removeMember", member: member.name, memberId: member.id }, [address], after);
  }
  for (const master of spec.controlPlane.masters) {
    if (master.adoptedAt === undefined) continue;
    builder.setAction(memberAddress(master.name), "noop", "adopted: left alone");
  }
  const names = staying.map((member) => member.name).sort();
  builder.warn(
    "plan/adopted-left",
    `${names.join(", ")} ${names.length === 1 ? "was" : "were"} adopted and ${names.length === 1 ? "is" : "are"} left alone`,
    `haplan did not start ${names.length === 1 ? "it" : "them"}. The remaining cluster of ${staying.length} can lose ${staying.length - majorityOf(staying.length)}. To remove a member from it, target it: -target=haplan_raft_member.${names[0]}`,
  );
}
