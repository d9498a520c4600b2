/** kubeadm's configuration on masters and workers. What kubeadm makes of it is not haplan's. */

import { kubeadmPaths } from "../../kubernetes/kubeadm-config.ts";
import { etcdClientName, nodeTask } from "../../kubernetes/kubeadm-unit.ts";
import { kubeadmUnitName } from "../../units/unit-definition.ts";
import { notInSpec } from "../change-reason.ts";
import { isUnreachable, unitOf } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { ObservedMachine } from "../observed-cluster.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import { machineAddress } from "./machines.ts";
import type { WithCertificates } from "./stages.ts";
import { planRunningUnit, whyUnitStartsAgain } from "./unit-condition.ts";
import type { WithLoadBalancer } from "./workers.ts";

export function planKubernetes(planning: WithLoadBalancer): void {
  for (const resource of planning.desired) {
    if (resource.type === "haplan_kubeadm_config") planConfig(planning, resource);
  }
  planNodes(planning);
  warnOfRunning(planning);
  removeConfigs(planning);
}

/**
 * Nodes, one after the other: the control planes, then the workers. A node that people made with kubeadm is recorded; one
 * that haplan has begun is resumed until it is in the state.
 */
function planNodes(planning: WithLoadBalancer): void {
  const { desired, view, builder, loadBalancer } = planning;
  const nodes = desired.filter(({ type }) => type === "haplan_kubernetes_node");
  const masters = nodes.filter(({ attributes }) => attributes["role"] === "control-plane");
  const controlPlanes: string[] = [];
  const due = nodes.filter((node) => {
    const isThere = isNode(planning, node.name);
    if (isThere && masters.includes(node)) controlPlanes.push(node.name);
    return !isThere;
  });
  let last = [loadBalancer, builder.lastSerialStep];
  for (const node of due.filter(({ name }) => !isUnreachable(view, name))) {
    const { name, address } = node;
    const isMaster = masters.includes(node);
    builder.setAction(address, "create", view.resources.has(address) ? "kubeadm has been reset on its host" : null);
    const manner = !isMaster ? "worker" : controlPlanes.length === 0 ? "init" : "controlPlane";
    const written = builder.steps.filter(
      ({ action }) => action.kind === "writeKubeadmConfig" && [name, ...controlPlanes].includes(action.host),
    );
    const step = { kind: "bootstrapNode", host: name, manner, via: [...controlPlanes] } as const;
    last = [builder.add(step, [address], [...written.map(({ id }) => id), ...last])];
    if (isMaster) controlPlanes.push(name);
  }
}

/** A machine that is made anew in this plan is none. */
function isNode(planning: Planning, name: string): boolean {
  const { view } = planning;
  const unit = unitOf(view.machines.get(name), kubeadmUnitName);
  if (unit === undefined || creationOf(planning, name) !== null || (unit.present ?? []).length === 0) return false;
  return view.resources.has(resourceAddress("haplan_kubernetes_node", name)) || !unit.tasks?.includes(nodeTask);
}

/** Hosts on which kubeadm has made a node: it is kubeadm's, and haplan does not remove it. */
function nodesAmong(machines: Iterable<ObservedMachine>): readonly string[] {
  const nodes = [...machines].filter((machine) => (unitOf(machine, kubeadmUnitName)?.present ?? []).length > 0);
  return nodes.map(({ name }) => name).sort();
}

/** Before everything is destroyed: without its etcd, a Kubernetes cluster stops and loses its data. */
export function refuseNodes({ view, builder }: Planning): void {
  const nodes = nodesAmong(view.machines.values());
  if (nodes.length === 0) return;
  builder.refuse(
    "plan/kubernetes-node",
    `Kubernetes is on ${nodes.join(", ")}, and its data in this cluster`,
    "kubeadm has made it, so haplan does not remove it. Run `kubeadm reset` on each of these hosts, and destroy again.",
  );
}

/** kubeadm reads the configuration once; what runs has to be told by hand. */
function warnOfRunning({ desired, view, builder }: Planning): void {
  const nodes = nodesAmong(view.machines.values());
  const masters = desired.filter(
    ({ type, name, address, attributes }) =>
      type === "haplan_kubeadm_config" &&
      attributes["role"] === "control-plane" &&
      nodes.includes(name) &&
      view.resources.get(address)?.attributes["configDigest"] !== attributes["configDigest"],
  );
  if (masters.length === 0) return;
  const hosts = masters.map(({ name }) => name).join(", ");
  builder.warn(
    "plan/kubernetes-runs",
    `The API servers on ${hosts} keep their present configuration`,
    `haplan changes kubeadm's configuration, and nothing that runs. After the apply, run on each of these hosts, one after the other: kubeadm init phase control-plane apiserver --config ${kubeadmPaths.config}; and on one of them: kubeadm init phase upload-config kubeadm --config ${kubeadmPaths.config}.`,
  );
}

function planConfig(planning: WithCertificates, resource: DesiredResource): void {
  const { view, builder, certificates, observed } = planning;
  const { name, address, unknown } = resource;
  const made = creationOf(planning, name);
  const unit = unitOf(view.machines.get(name), kubeadmUnitName);
  const known = view.resources.get(address)?.attributes;
  const write = { kind: "writeKubeadmConfig", host: name } as const;
  const carries = unknown.includes("certificate");
  const after = [made, carries ? (certificates.get(etcdClientName) ?? null) : null];
  if (unit === undefined || made !== null) {
    const reason = known === undefined ? null : "it is gone";
    builder.setAction(address, unit === undefined ? "create" : "deleteThenCreate", reason);
    builder.add(write, [address], after);
    return;
  }
  const present = observed.certificates.find((certificate) => certificate.name === etcdClientName)?.fingerprint;
  const behind = carries && known?.["certificate"] !== undefined && known["certificate"] !== present;
  const issued = carries && (certificates.has(etcdClientName) || behind);
  const reason = whyUnitStartsAgain(resource, unit, known, issued);
  if (reason === null) return;
  planRunningUnit(address, reason, builder);
  builder.add(write, [address], after);
}

/** The step that makes the machine, if one does: the files of a machine that is replaced are gone with it. */
function creationOf({ builder }: Planning, machine: string): string | null {
  const steps = builder.steps.filter(({ action }) => action.kind === "createMachine" && action.machine === machine);
  return steps.at(-1)?.id ?? null;
}

/** Of hosts that leave, and of all hosts once the spec has no Kubernetes. */
function removeConfigs({ desired, view, builder }: Planning): void {
  const wanted = new Set(desired.filter(({ type }) => type === "haplan_kubeadm_config").map(({ name }) => name));
  for (const machine of [...view.machines.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = machine;
    if (wanted.has(name) || unitOf(machine, kubeadmUnitName) === undefined) continue;
    const isLeftover =
      !desired.some((resource) => resource.address === machineAddress(name)) && !isDestroyed(builder, name);
    // Another rule destroys it with everything on it.
    if (isLeftover) continue;
    const address = resourceAddress("haplan_kubeadm_config", name);
    builder.setAction(address, "delete", notInSpec);
    if (nodesAmong([machine]).length > 0) warnOfLeavingNode(name, builder);
    builder.removeWithMachine({ kind: "removeKubeadmConfig", host: name }, address, name);
  }
}

function warnOfLeavingNode(name: string, builder: PlanBuilder): void {
  builder.warn(
    "plan/kubernetes-node",
    `Kubernetes is still on ${name}`,
    `haplan removes its own files there, and leaves the node. Before the apply: kubectl drain ${name} --ignore-daemonsets; kubectl delete node ${name}; and on the host: kubeadm reset.`,
  );
}

function isDestroyed({ steps }: PlanBuilder, machine: string): boolean {
  return steps.some(({ action }) => action.kind === "destroyMachine" && action.machine === machine);
}
