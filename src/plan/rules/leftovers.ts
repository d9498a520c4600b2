/**
 * Resources that no other rule covers: machines and certificates that are no longer in the spec, existing resources
 * that are not in the state (imported), and entries of the state whose object is gone (forgotten).
 */

import { sameJson } from "../../base/canonical-json.ts";
import { notInSpec } from "../change-reason.ts";
import { toldByTheSpec } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { Planning } from "../planning.ts";
import { type Attributes, isDeposed, type ResourceAddress, resourceAddress, specName } from "../resource.ts";
import type { StateResource } from "../state.ts";
import { isRememberedOnly } from "../unreachable-machines.ts";
import type { World } from "../world.ts";
import { machineAddress } from "./machines.ts";

export function planLeftovers(planning: Planning): void {
  const { desired, world, draft } = planning;
  const wanted = new Set(desired.map((resource) => resource.address));
  for (const name of [...world.machines.keys()].sort()) {
    const address = machineAddress(name);
    if (wanted.has(address) || draft.verdicts.has(address)) continue;
    draft.judge(address, "delete", notInSpec);
    const agent = resourceAddress("haplan_agent", name);
    if (world.resources.has(agent)) draft.judge(agent, "delete", notInSpec);
    draft.add({ kind: "destroyMachine", machine: name }, world.resources.has(agent) ? [agent, address] : [address], [
      draft.chainEnd,
    ]);
  }
  for (const certificate of planning.observed.certificates) {
    const address = resourceAddress("haplan_certificate", certificate.name);
    if (wanted.has(address)) continue;
    draft.judge(address, "delete", "nothing uses it any more");
    const users = draft.steps.filter((step) => step.addresses.includes(machineAddress(certificate.name)));
    draft.add(
      { kind: "removeCertificate", name: certificate.name },
      [address],
      users.map((step) => step.id),
    );
  }
  recordState(planning, wanted);
}

function recordState(
  { refreshOnly = false, desired, world, draft }: Planning,
  wanted: ReadonlySet<ResourceAddress>,
): void {
  const recorded: ResourceAddress[] = [];
  /** With the steps that make them so. */
  const changing = new Map<ResourceAddress, readonly string[]>();
  for (const resource of desired) {
    if (draft.verdicts.has(resource.address)) continue;
    if (isRememberedOnly(world.unreachable, resource.address)) continue;
    const known = world.resources.get(resource.address);
    if (known === undefined) {
      draft.judge(resource.address, "noop", "it exists already: recorded in the state");
      recorded.push(resource.address);
      continue;
    }
    const facts = draft.facts.get(resource.address) ?? {};
    const told = toldByTheSpec.has(resource.type);
    const found = differing(known, told ? facts : { ...resource.attributes, ...facts });
    if (found.length > 0) {
      draft.judge(resource.address, "update", "only the state is outdated");
      recorded.push(resource.address);
    }
    const wished = told ? differing(known, resource.attributes).filter((name) => !(name in facts)) : [];
    if (wished.length === 0 || refreshOnly) continue;
    draft.judge(
      resource.address,
      "update",
      `its ${wished.join(" and ").replaceAll("Url", " URL")} in the spec has changed`,
    );
    changing.set(resource.address, stepsOfAgent(resource.name, draft));
  }
  for (const address of world.resources.keys()) {
    if (wanted.has(address) || draft.verdicts.has(address) || isThere(address, world)) continue;
    draft.judge(address, "delete", "it is gone: forgotten");
    recorded.push(address);
  }
  const atOnce = [...changing].filter(([, after]) => after.length === 0).map(([address]) => address);
  const now = [...new Set([...recorded, ...atOnce])].filter((address) => !changing.get(address)?.length);
  const later = [...changing].filter(([, after]) => after.length > 0);
  if (now.length > 0) draft.add({ kind: "recordState" }, now);
  if (later.length > 0) {
    const steps = later.flatMap(([, after]) => after);
    draft.add(
      { kind: "recordState" },
      later.map(([address]) => address),
      steps,
    );
  }
}

/** A machine whose name another one has now is handled by other rules. */
function isThere(address: ResourceAddress, world: World): boolean {
  const { name = "", generation = 0 } = world.resources.get(address) ?? {};
  const machines = [...world.machines.values(), ...world.spares];
  return isDeposed(address) && machines.some((each) => each.name === specName(name) && each.generation === generation);
}

function differing(known: StateResource, attributes: Attributes): readonly string[] {
  return Object.entries(attributes).flatMap(([name, value]) => (sameJson(known.attributes[name], value) ? [] : [name]));
}

/** A member's URL changes once its agent was started there. */
function stepsOfAgent(name: string, { steps }: PlanDraft): readonly string[] {
  const agent = resourceAddress("haplan_agent", name);
  return steps.filter(({ addresses }) => addresses.includes(agent)).map(({ id }) => id);
}
