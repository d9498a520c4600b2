/**
 * What no other rule has spoken of: machines and certificates that the spec no longer asks for, resources that are
 * there but not in the state (adopted), and entries of the state whose object is gone (forgotten).
 */
import { sameJson } from "../../base/canonical-json.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { PlannerInput } from "../planner-input.ts";
import { type ResourceAddress, resourceAddress } from "../resource.ts";
import type { World } from "../world.ts";
import { machineAddress } from "./machines.ts";

export function planLeftovers(
  { observed }: PlannerInput,
  desired: readonly DesiredResource[],
  world: World,
  draft: PlanDraft,
): void {
  const wanted = new Set(desired.map((resource) => resource.address));
  for (const name of [...world.machines.keys()].sort()) {
    const address = machineAddress(name);
    if (wanted.has(address) || draft.verdicts.has(address)) continue;
    draft.judge(address, "delete", "it is not in the spec");
    const agent = resourceAddress("haplan_agent", name);
    if (world.resources.has(agent)) draft.judge(agent, "delete", "it is not in the spec");
    draft.add({ kind: "destroyMachine", machine: name }, world.resources.has(agent) ? [agent, address] : [address], [
      draft.chainEnd,
    ]);
  }
  for (const certificate of observed.certificates) {
    const address = resourceAddress("haplan_certificate", certificate.name);
    if (wanted.has(address)) continue;
    draft.judge(address, "delete", "nobody carries it any more");
    const users = draft.steps.filter((step) => step.addresses.includes(machineAddress(certificate.name)));
    draft.add(
      { kind: "removeCertificate", name: certificate.name },
      [address],
      users.map((step) => step.id),
    );
  }
  recordState(desired, world, wanted, draft);
}

function recordState(
  desired: readonly DesiredResource[],
  world: World,
  wanted: ReadonlySet<ResourceAddress>,
  draft: PlanDraft,
): void {
  const recorded: ResourceAddress[] = [];
  for (const resource of desired) {
    if (draft.verdicts.has(resource.address)) continue;
    const known = world.resources.get(resource.address);
    if (known === undefined) {
      draft.judge(resource.address, "noop", "found in the world: recorded in the state");
      recorded.push(resource.address);
      continue;
    }
    const attributes = { ...resource.attributes, ...draft.facts.get(resource.address) };
    const moved = Object.entries(attributes).filter(([name, value]) => !sameJson(known.attributes[name], value));
    if (moved.length === 0) continue;
    draft.judge(resource.address, "update", "only the state is behind");
    recorded.push(resource.address);
  }
  for (const address of world.resources.keys()) {
    if (wanted.has(address) || draft.verdicts.has(address)) continue;
    draft.judge(address, "delete", "it is gone: forgotten");
    recorded.push(address);
  }
  if (recorded.length > 0) draft.add({ kind: "recordState" }, recorded);
}
