/** Checks everything that could fail on the machines before anything is changed, and reports it all at once. */
import { certificateBackdatingMs } from "../base/certificate-backdating.ts";
import type { Diagnostic } from "../base/diagnostic.ts";
import type { Plan } from "../plan/plan.ts";
import type { StepAction } from "../plan/step.ts";
import type { MachineIdentity, MachineSpace, MachineUnit, RemovalRequest } from "../providers/provider.ts";
import { hasKnownAddress, unknownAddresses } from "../spec/address-reference.ts";
import { clientUrl } from "../units/addresses.ts";
import { agentBlueprint } from "../units/agent-unit.ts";
import { balancerOf, loadBalancerBlueprint, relayBlueprint } from "../units/load-balancer-unit.ts";
import { restoreTools } from "../units/restore-command.ts";
import { virtualAddressBlueprint } from "../units/virtual-address.ts";
import { workerBlueprint } from "../units/worker-unit.ts";
import { addressTakers, type BalancerAction } from "./address-takers.ts";
import { joining, memberBytes, virtualAddressOf } from "./check-request.ts";
import { networkPaths } from "./network-paths.ts";
import type { ApplyPorts } from "./ports.ts";
import { kubeadmUnit } from "./steps/kubernetes-steps.ts";

/** A new member receives the data, and keeps the log that accumulates meanwhile. */
const copyFactor = 1.5;
/** The snapshot, the data that is made from it, and its log: the present data stays. */
const restoreFactor = 3;

export async function preflightPlan(
  plan: Plan,
  lineage: string,
  { provider, connect, authority }: Pick<ApplyPorts, "provider" | "connect" | "authority">,
  signal: AbortSignal,
): Promise<readonly Diagnostic[]> {
  const actions = plan.steps.map((step) => step.action);
  const kept = (await provider.checkRemoval?.(removalOf(actions, lineage), signal)) ?? [];
  if (plan.mode === "destroy") return kept;
  const machines = actions.flatMap((action): readonly MachineIdentity[] =>
    action.kind === "createMachine" && hasKnownAddress(action)
      ? [{ name: action.machine, address: action.address, zone: action.zone, lineage, generation: action.generation }]
      : [],
  );
  // A unit's listen addresses and targets may be known only once its machine exists.
  const takers = addressTakers(plan);
  const started = new Set(
    actions.flatMap((action) => (action.kind === "startLoadBalancer" ? [balancerOf(action)] : [])),
  );
  const units = [
    ...actions.flatMap((action) => unitsOf(plan, lineage, action)),
    ...takers.filter((taker) => !started.has(balancerOf(taker))).flatMap((taker) => balancerUnits(plan, taker)),
  ].filter(({ unit }) => unknownAddresses(unit).length === 0);
  const changed = actions.flatMap((action) => (action.kind === "updateMachine" ? [action.machine] : []));
  if (machines.length === 0 && units.length === 0 && changed.length === 0) return kept;
  const joins = actions.some((action) => action.kind === "addLearner");
  const dataBytes = joins ? await largestData(plan, { connect, authority }) : 0;
  const replaced = replacedMachines(actions);
  const space = actions
    .flatMap((action) => spaceOf(action, dataBytes))
    .map((each): MachineSpace => (replaced.has(each.machine) ? { ...each, replaces: true } : each));
  const created = new Set(actions.flatMap((action) => (action.kind === "createMachine" ? [action.machine] : [])));
  const network = networkPaths(plan.spec, provider.model.describeLoadBalancer(plan.spec).hosts).filter(
    ({ from, to }) => created.has(to) || (from !== null && created.has(from)),
  );
  const isAuthorityNew = actions.some(({ kind }) => kind === "createAuthority");
  const certificateAgeMs = isAuthorityNew ? certificateBackdatingMs : null;
  const virtual = started.size + takers.length > 0 ? virtualAddressOf(plan.spec, plan.changes) : {};
  const found = await provider.preflight(
    {
      ...{ machines, units, space, network, certificateAgeMs, ...virtual },
      ...(changed.length === 0 ? {} : { changed: [...new Set(changed)] }),
    },
    signal,
  );
  return [...kept, ...found];
}

/** An instance whose agent is stopped for its update may be replaced. */
function removalOf(actions: readonly StepAction[], lineage: string): RemovalRequest {
  const machines = actions.flatMap((action) => {
    const isRemoved = action.kind === "destroyMachine" || (action.kind === "updateMachine" && action.agentStopped);
    return isRemoved ? [action.machine] : [];
  });
  return { lineage, machines: [...new Set(machines)], loadBalancer: actions.some(isRemovalOfBalancer) };
}

function isRemovalOfBalancer({ kind }: StepAction): boolean {
  return kind === "stopLoadBalancer";
}

function spaceOf(action: StepAction, dataBytes: number): readonly MachineSpace[] {
  switch (action.kind) {
    case "startAgent":
      return [{ machine: action.member, bytes: memberBytes + Math.ceil(copyFactor * dataBytes) }];
    case "saveSurvivor":
      return [{ machine: action.member, bytes: restoreFactor * action.sizeBytes }];
    case "restoreMember":
      return [{ machine: action.member, bytes: restoreFactor * action.source.sizeBytes }];
    default:
      return [];
  }
}

/** Those that are removed before another machine takes their place: at one address there is one at a time. */
function replacedMachines(actions: readonly StepAction[]): ReadonlySet<string> {
  const removed = new Set<string>();
  const replaced = new Set<string>();
  for (const action of actions) {
    if (action.kind === "destroyMachine") removed.add(action.machine);
    if (action.kind === "createMachine" && removed.has(action.machine)) replaced.add(action.machine);
  }
  return replaced;
}

/** As reported by the members; if none answers, the steps that need them will fail. */
async function largestData(
  { spec }: Plan,
  { connect, authority }: Pick<ApplyPorts, "connect" | "authority">,
): Promise<number> {
  const tls = spec.controlPlane.tls.enabled ? await authority.clientMaterial().catch(() => undefined) : null;
  if (tls === undefined) return 0;
  const endpoints = spec.controlPlane.masters.filter(hasKnownAddress).map((master) => clientUrl(spec, master));
  const controlPlane = connect({ endpoints, tls });
  try {
    const membership = await controlPlane.observe().catch(() => null);
    return Math.max(0, ...(membership?.members ?? []).map(({ dbSizeBytes }) => dbSizeBytes ?? 0));
  } finally {
    controlPlane.close();
  }
}

/** Without certificates: they do not exist yet, and no preflight needs them. */
function unitsOf(plan: Plan, lineage: string, action: StepAction): readonly MachineUnit[] {
  switch (action.kind) {
    case "startAgent":
    // It may run another program from now on.
    case "updateAgent":
      return [
        {
          machine: action.member,
          unit: agentBlueprint(plan.spec, action.member, { ...(action.join ?? joining), token: lineage }).definition,
        },
      ];
    case "restoreMember":
      return restoreNeeds(plan, action.member);
    case "startLoadBalancer":
      return balancerUnits(plan, action);
    case "startWorker":
      return [{ machine: action.worker, unit: workerBlueprint(plan.spec, action.worker).definition }];
    case "writeKubeadmConfig":
      return [{ machine: action.host, unit: kubeadmUnit(plan.spec, action.host).definition }];
    default:
      return [];
  }
}

function balancerUnits({ spec }: Plan, action: BalancerAction): readonly MachineUnit[] {
  const machine = balancerOf(action);
  return [
    loadBalancerBlueprint(spec, action),
    relayBlueprint(spec, action),
    virtualAddressBlueprint(spec, machine),
  ].flatMap((blueprint) => (blueprint === null ? [] : [{ machine, unit: blueprint.definition }]));
}

/** A program that is missing would be found out with all members stopped. Of several, any will do: none is checked. */
function restoreNeeds({ spec }: Plan, machine: string): readonly MachineUnit[] {
  const tools = restoreTools(spec);
  if (tools.length !== 1) return [];
  const { definition } = agentBlueprint(spec, machine, { ...joining, token: "" });
  return [{ machine, unit: { ...definition, program: { kind: "none" }, listens: [], needs: tools } }];
}
