/** A worker's unit. */
import { resourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import { unitDigest } from "../../providers/unit-digest.ts";
import { workerUnitName } from "../../units/unit-definition.ts";
import { workerBlueprint } from "../../units/worker-unit.ts";
import { carriedCertificate } from "../carried-certificate.ts";
import { materializeUnit } from "../materialize-unit.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";
import { startWatched } from "./upgrade-steps.ts";

const stopGraceMs = 2_000;

export async function startWorker(
  context: StepContext,
  action: StepAction & { readonly kind: "startWorker" },
): Promise<StepOutputs> {
  const { plan, ports, signal } = context;
  const blueprint = workerBlueprint(plan.spec, action.worker);
  const address = resourceAddress("haplan_worker", action.worker);
  const unit = await materializeUnit(blueprint, ports.authority);
  const place = { machine: action.worker, unit: workerUnitName, address };
  const { pid } = await startWatched(context, place, () => ports.provider.startUnit(action.worker, unit, signal));
  return { pid, definitionDigest: unitDigest(unit), ...(await carriedCertificate(context, address, blueprint)) };
}

export async function stopWorker(
  { ports, signal }: StepContext,
  action: StepAction & { readonly kind: "stopWorker" },
): Promise<StepOutputs> {
  await ports.provider.stopUnit(action.worker, workerUnitName, stopGraceMs, signal);
  return {};
}
