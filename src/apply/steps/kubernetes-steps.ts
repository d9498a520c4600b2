/** kubeadm's configuration on a host. */
import { assert, assertNever } from "../../base/assert.ts";
import { kubeadmBlueprint } from "../../kubernetes/kubeadm-unit.ts";
import { resourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import { unitDigest } from "../../providers/unit-digest.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import type { UnitBlueprint } from "../../units/unit-blueprint.ts";
import { kubeadmUnitName } from "../../units/unit-definition.ts";
import { carriedCertificate } from "../carried-certificate.ts";
import { materializeUnit } from "../materialize-unit.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";
import { bootstrapNode } from "./bootstrap-node.ts";

type Of<Kind extends StepAction["kind"]> = StepAction & { readonly kind: Kind };

export function kubeadmUnit(spec: ClusterSpec, host: string): UnitBlueprint {
  assert(spec.kubernetes !== undefined, "a step about kubeadm is of a spec with Kubernetes");
  return kubeadmBlueprint(spec, spec.kubernetes, host);
}

export async function runKubernetesStep(
  context: StepContext,
  action: Of<"writeKubeadmConfig" | "removeKubeadmConfig" | "bootstrapNode">,
): Promise<StepOutputs> {
  switch (action.kind) {
    case "writeKubeadmConfig":
      return writeKubeadmConfig(context, action);
    case "removeKubeadmConfig":
      return removeKubeadmConfig(context, action);
    case "bootstrapNode":
      return bootstrapNode(context, action);
    default:
      return assertNever(action);
  }
}

async function writeKubeadmConfig(context: StepContext, { host }: Of<"writeKubeadmConfig">): Promise<StepOutputs> {
  const { plan, ports, signal } = context;
  const address = resourceAddress("haplan_kubeadm_config", host);
  const blueprint = kubeadmUnit(plan.spec, host);
  const unit = await materializeUnit(blueprint, ports.authority);
  await ports.provider.startUnit(host, unit, signal);
  return { definitionDigest: unitDigest(unit), ...(await carriedCertificate(context, address, blueprint)) };
}

async function removeKubeadmConfig(
  { ports, signal }: StepContext,
  { host }: Of<"removeKubeadmConfig">,
): Promise<StepOutputs> {
  await ports.provider.removeUnit(host, kubeadmUnitName, signal);
  return {};
}
