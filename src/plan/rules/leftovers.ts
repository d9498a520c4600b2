/**
 * Resources that no other rule covers: machines and certificates that are no longer in the spec, existing resources
 * that are not in the state (imported), and entries of the state whose object is gone (forgotten).
 */

import { sameJson } from "../../base/canonical-json.ts";
import { notInSpec } from "../change-reason.ts";
import type { ClusterView } from "../cluster-view.ts";
import { toldByTheSpec } from "../desired-resources.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Planning } from "../planning.ts";
import { type Attributes, isDeposed, type ResourceAddress, resourceAddress, specName } from "../resource.ts";
import { isKnownFromStateOnly } from "../unreachable-machines.ts";
import { machineAddress, recordedAttributes } from "./machines.ts";

export function planLeftovers(planning: Planning): void {
  const { desired, view, builder } = planning;
  const wanted = new Set(desired.map((resource) => resource.address));
  for (const name of [...view.machines.keys()].sort()) {
    const address = machineAddress(name);
    if (wanted.has(address) || builder.actions.has(address)) continue;
    builder.setAction(address, "delete", notInSpec);
    const types = ["haplan_agent", "haplan_kubeadm_config"] as const;
    const there = types.map((type) => resourceAddress(type, name)).filter((each) => view.resources.has(each));
    for (const each of there) builder.setAction(each, "delete", notInSpec);
    builder.add({ kind: "destroyMachine", machine: name }, [...there, address], [builder.lastSerialStep]);
  }
  for (const certificate of planning.observed.certificates) {
    const address = resourceAddress("haplan_certificate", certificate.name);
    if (wanted.has(address)) continue;
    builder.setAction(address, "delete", "nothing uses it any more");
    const users = builder.steps.filter((step) => step.addresses.includes(machineAddress(certificate.name)));
    builder.add(
      { kind: "removeCertificate", name: certificate.name },
      [address],
      users.map((step) => step.id),
    );
  }
  recordState(planning, wanted);
}

function recordState(
  { refreshOnly = false, desired, view, builder }: Planning,
  wanted: ReadonlySet<ResourceAddress>,
): void {
  const recorded: ResourceAddress[] = [];
  /** With the steps that make them so. */
  const changing = new Map<ResourceAddress, readonly string[]>();
  for (const resource of desired) {
    if (builder.actions.has(resource.address)) continue;
    if (isKnownFromStateOnly(view.unreachable, resource.address)) continue;
    const known = view.resources.get(resource.address);
    // It gets the spec's values with its process.
    if (known !== undefined && !refreshOnly && builder.isLeftAsRecorded(resource.address)) continue;
    if (known === undefined) {
      builder.setAction(resource.address, "noop", "it exists already: recorded in the state");
      recorded.push(resource.address);
      continue;
    }
    const facts = builder.facts.get(resource.address) ?? {};
    const told = toldByTheSpec.has(resource.type);
    const present = recordedAttributes(resource, view);
    const found = differing(present, told ? facts : { ...resource.attributes, ...facts });
    if (found.length > 0) {
      builder.setAction(resource.address, "update", "only the state is outdated");
      recorded.push(resource.address);
    }
    const wished = told ? differing(present, resource.attributes).filter((name) => !(name in facts)) : [];
    if (wished.length === 0 || refreshOnly) continue;
    builder.setAction(
      resource.address,
      "update",
      `its ${wished.join(" and ").replaceAll("Url", " URL")} in the spec has changed`,
    );
    changing.set(resource.address, stepsOfAgent(resource.name, builder));
  }
  for (const address of view.resources.keys()) {
    if (wanted.has(address) || builder.actions.has(address) || isThere(address, view)) continue;
    if (isDeposed(address) && isKnownFromStateOnly(view.unreachable, address)) continue;
    builder.setAction(address, "delete", "it is gone: forgotten");
    recorded.push(address);
  }
  const atOnce = [...changing].filter(([, after]) => after.length === 0).map(([address]) => address);
  const now = [...new Set([...recorded, ...atOnce])].filter((address) => !changing.get(address)?.length);
  const later = [...changing].filter(([, after]) => after.length > 0);
  if (now.length > 0) builder.add({ kind: "recordState" }, now);
  if (later.length > 0) {
    const steps = later.flatMap(([, after]) => after);
    builder.add(
      { kind: "recordState" },
      later.map(([address]) => address),
      steps,
    );
  }
}

/** A machine whose name another one has now is handled by other rules. */
function isThere(address: ResourceAddress, view: ClusterView): boolean {
  const { name = "", generation = 0 } = view.resources.get(address) ?? {};
  const machines = [...view.machines.values(), ...view.spares];
  return isDeposed(address) && machines.some((each) => each.name === specName(name) && each.generation === generation);
}

/** A state of a haplan without an attribute is not outdated for its null. */
function differing(known: Attributes, attributes: Attributes): readonly string[] {
  return Object.entries(attributes).flatMap(([name, value]) => (sameJson(known[name] ?? null, value) ? [] : [name]));
}

/** A member's URL changes once its agent was started there. */
function stepsOfAgent(name: string, { steps }: PlanBuilder): readonly string[] {
  const agent = resourceAddress("haplan_agent", name);
  return steps.filter(({ addresses }) => addresses.includes(agent)).map(({ id }) => id);
}
