/** Workers only use the load balancer's endpoint; each is independent of the others. */

import { workerUnitName } from "../../units/unit-definition.ts";
import { asRequested, notInSpec } from "../change-reason.ts";
import { unitOf } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import { machineAddress, planMachine } from "./machines.ts";
import { isRequested } from "./requested-replacements.ts";
import type { WithCertificates } from "./stages.ts";
import { noteDeadUnit, planRunningUnit, processGoneReason, whyUnitStartsAgain } from "./unit-condition.ts";

/** `loadBalancer`: id of the step after which it serves the wanted masters. */
export type WithLoadBalancer = WithCertificates & { readonly loadBalancer: string | null };

export function planWorkers(planning: WithLoadBalancer): void {
  const { desired } = planning;
  const byAddress = new Map(desired.map((resource) => [resource.address, resource]));
  for (const resource of desired) {
    if (resource.type !== "haplan_worker") continue;
    planWorker(planning, resource, byAddress.get(machineAddress(resource.name))!);
  }
  removeWorkers(planning);
}

function planWorker(planning: WithLoadBalancer, resource: DesiredResource, machine: DesiredResource): void {
  const { view, certificates, loadBalancer, builder } = planning;
  const { name, address } = resource;
  const stop = (): string | null => builder.add({ kind: "stopWorker", worker: name }, [address]);
  const made = planMachine(planning, machine, stop);
  const unit = unitOf(view.machines.get(name), workerUnitName);
  const known = view.resources.get(address)?.attributes;
  const after = [made, certificates.get(name) ?? null, loadBalancer];
  if (unit === undefined || made !== null) {
    builder.setAction(
      address,
      unit === undefined ? "create" : "deleteThenCreate",
      unit !== undefined ? builder.reasonFor(machine.address) : known === undefined ? null : "it is gone",
    );
    builder.add({ kind: "startWorker", worker: name }, [address], after);
    return;
  }
  if (unit.running && isRequested(planning, address)) {
    builder.setAction(address, "update", asRequested);
    const stopped = builder.add({ kind: "stopWorker", worker: name }, [address], after);
    builder.add({ kind: "startWorker", worker: name }, [address], [...after, stopped]);
    return;
  }
  const reason = unit.running
    ? whyUnitStartsAgain(resource, unit, known, certificates.has(name))
    : processGoneReason(unit);
  if (reason === null) return;
  if (!unit.running) noteDeadUnit(address, "stopped", builder);
  planRunningUnit(address, reason, builder);
  builder.add({ kind: "startWorker", worker: name }, [address], after);
}

/** Workers in the state or among the machines' units that are not in the spec. */
function removeWorkers({ desired, view, builder }: Planning): void {
  const wanted = new Set(desired.filter((resource) => resource.type === "haplan_worker").map((worker) => worker.name));
  const known = [...view.resources.values()].filter((resource) => resource.type === "haplan_worker");
  const found = [...view.machines.values()].filter((machine) => unitOf(machine, workerUnitName) !== undefined);
  const names = new Set([...known.map((worker) => worker.name), ...found.map((machine) => machine.name)]);
  for (const name of [...names].sort()) {
    if (wanted.has(name) || !view.machines.has(name)) continue;
    const address = resourceAddress("haplan_worker", name);
    builder.setAction(address, "delete", notInSpec);
    const stopped = builder.add({ kind: "stopWorker", worker: name }, [address]);
    // A master or load balancer of the same name needs a machine of its own, which its rule creates.
    builder.setAction(machineAddress(name), "delete", notInSpec);
    builder.add({ kind: "destroyMachine", machine: name }, [machineAddress(name)], [stopped]);
  }
}
