/**
 * A resource as observed: its id, and the attributes that are known only by observing. An import copies these into the
 * state.
 */
import { agentUnitName, kubeadmUnitName, workerUnitName } from "../units/unit-definition.ts";
import { type ClusterView, unitOf } from "./cluster-view.ts";
import type { ObservedCertificate, ObservedCluster, ObservedUnit } from "./observed-cluster.ts";
import type { Attributes, ResourceType } from "./resource.ts";

export type FoundResource = { readonly id: string; readonly attributes: Attributes; readonly generation: number };

/**
 * Null if it does not exist, or cannot be observed: the targets of a load balancer are only known from the last update.
 *  Ids: a machine's name, also for what runs on it; a member's id; the SHA-256 fingerprint of a certificate.
 */
export function foundResource(
  { type, name }: { readonly type: ResourceType; readonly name: string },
  observed: ObservedCluster,
  view: ClusterView,
): FoundResource | null {
  const machine = view.machines.get(name);
  const generation = machine?.generation ?? 1;
  const onMachine = (unitName: string): FoundResource | null => {
    const unit = unitOf(machine, unitName);
    if (unit === undefined) return null;
    const { pid, definitionDigest, artifact, initialCluster } = unit;
    const version = artifact === undefined ? {} : { artifact };
    const join = initialCluster === undefined ? {} : { join: initialCluster };
    return { id: name, attributes: { pid, definitionDigest, ...version, ...join }, generation };
  };
  switch (type) {
    case "haplan_ca":
      return foundCertificate(observed.authority);
    case "haplan_certificate":
      return foundCertificate(observed.certificates.find((certificate) => certificate.name === name));
    case "haplan_machine":
      return machine === undefined ? null : { id: name, attributes: { generation }, generation };
    case "haplan_agent":
      return onMachine(agentUnitName);
    case "haplan_load_balancer":
      return foundLoadBalancer(view, name, generation);
    case "haplan_worker":
      return onMachine(workerUnitName);
    case "haplan_kubeadm_config":
      return foundFiles(unitOf(machine, kubeadmUnitName), name, generation);
    case "haplan_kubernetes_node":
      return (unitOf(machine, kubeadmUnitName)?.present ?? []).length === 0
        ? null
        : { id: name, attributes: {}, generation };
    case "haplan_raft_member":
      return foundMember(name, view, generation);
    case "haplan_lb_backend":
      return null;
  }
}

/** A unit of which nothing runs. */
function foundFiles(unit: ObservedUnit | undefined, id: string, generation: number): FoundResource | null {
  return unit === undefined ? null : { id, attributes: { definitionDigest: unit.definitionDigest }, generation };
}

function foundLoadBalancer({ loadBalancers }: ClusterView, name: string, generation: number): FoundResource | null {
  const found = loadBalancers.get(name);
  if (found === undefined) return null;
  const { pid, definitionDigest, onMachine, virtualAddress } = found;
  const own = onMachine ? { pid, definitionDigest } : { definitionDigest };
  const held = virtualAddress === null ? {} : { virtualAddressDigest: virtualAddress.definitionDigest };
  return { id: name, attributes: { ...own, ...held }, generation };
}

type Dated = Pick<ObservedCertificate, "fingerprint" | "notAfter">;

function foundCertificate(certificate: Dated | null | undefined): FoundResource | null {
  if (certificate === null || certificate === undefined) return null;
  const { fingerprint, notAfter } = certificate;
  return { id: fingerprint, attributes: { fingerprint, notAfter }, generation: 1 };
}

/** Members known only from the state have not been found. */
function foundMember(name: string, view: ClusterView, generation: number): FoundResource | null {
  const member = view.members.find((candidate) => candidate.name === name && candidate.voter);
  if (member === undefined || member.id === "" || view.membersRemembered) return null;
  return { id: member.id, attributes: { memberId: member.id, peerUrl: member.peerUrl }, generation };
}
