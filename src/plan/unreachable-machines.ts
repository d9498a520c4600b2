/**
 * Unreachable machines. Nothing is known of them, which is different from their being gone: they are planned as
 * recorded in the state, no voter is replaced because of it unless requested, and no step of the plan acts on one.
 */
import { assertNever } from "../base/assert.ts";
import { balancerOf, loadBalancerName } from "../units/load-balancer-unit.ts";
import { rememberedMachines } from "./observation-from-state.ts";
import { type ObservedMachine, type UnreachableMachine, whyUnreachable } from "./observed-cluster.ts";
import type { PlannerInput } from "./planner-input.ts";
import { parseAddress, type ResourceAddress } from "./resource.ts";
import type { StepAction } from "./step.ts";

/**
 * The input with each unreachable machine as recorded in the state. One that `-replace` names counts as gone: the user
 * who requests that knows its condition.
 */
export function rememberUnreachable(input: PlannerInput): PlannerInput {
  const { observed, state, replace = [], restore, mode } = input;
  if (observed.unreachable === undefined) return input;
  // Of two of one name, the other one may have been reached.
  const isReached = ({ name, generation }: ObservedMachine): boolean =>
    observed.machines.some((each) => each.name === name && each.generation === generation);
  // Nothing is asked of a member whose data is removed.
  const endsData = mode === "destroy" || restore !== undefined;
  const away = observed.unreachable.filter(({ uncalled }) => uncalled !== true || !endsData);
  const isReplaced = ({ name }: UnreachableMachine): boolean =>
    ["haplan_machine", "haplan_raft_member"].some((type) => replace.includes(`${type}.${name}`)) ||
    // Declared lost, and in the spec on another host.
    restore?.recovery?.rebuilt.includes(name) === true;
  const unreachable = away.filter((machine) => !isReplaced(machine));
  const abandoned = away.filter((machine) => isReplaced(machine) && machine.uncalled !== true);
  const remembered = rememberedMachines(state)
    .filter((machine) => whyUnreachable(unreachable, machine.name) !== null && !isReached(machine))
    .map((machine): ObservedMachine => ({ ...machine, remembered: true }));
  return {
    ...input,
    observed: { ...observed, machines: [...observed.machines, ...remembered], unreachable, abandoned },
  };
}

/** Whether no machine that the step acts on can be reached. A step that names a generation acts on that one alone. */
export function actsOnUnreachable(
  action: StepAction,
  {
    unreachable,
    reached,
  }: { readonly unreachable: readonly UnreachableMachine[]; readonly reached: readonly ObservedMachine[] },
): boolean {
  const name = machineActedOn(action);
  if (name === null || whyUnreachable(unreachable, name) === null) return false;
  const generation = action.kind === "destroyMachine" || action.kind === "stopAgent" ? action.generation : undefined;
  return !reached.some((machine) => machine.name === name && machine.generation === generation);
}

/** The machine that the step acts on; null if it acts on none. */
export function machineActedOn(action: StepAction): string | null {
  switch (action.kind) {
    case "createMachine":
    case "updateMachine":
    case "destroyMachine":
      return action.machine;
    case "startAgent":
    case "updateAgent":
    case "upgradeAgent":
    case "reloadAgent":
    case "restartAgent":
    case "stopAgent":
    case "saveSurvivor":
    case "restoreMember":
      return action.member;
    case "startLoadBalancer":
    case "updateLoadBalancer":
    case "stopLoadBalancer":
      return balancerOf(action);
    case "startWorker":
    case "stopWorker":
      return action.worker;
    case "writeKubeadmConfig":
    case "removeKubeadmConfig":
    case "bootstrapNode":
      return action.host;
    case "renameMaster":
      return action.to;
    // Members are called on their own ports, and certificates are on haplan's own machine.
    case "createAuthority":
    case "renewAuthority":
    case "addAuthority":
    case "activateAuthority":
    case "dropAuthority":
    case "issueCertificate":
    case "awaitQuorum":
    case "checkMembers":
    case "takeSnapshot":
    case "addLearner":
    case "awaitCatchUp":
    case "changeVoters":
    case "removeMember":
    case "updateMember":
    case "moveLeader":
    case "recordState":
    case "removeCertificate":
    case "removeAuthority":
      return null;
    default:
      return assertNever(action);
  }
}

/** Whether a resource is on one of these machines: it does not change while the machine is unreachable. */
export function unchangedReason(unreachable: readonly UnreachableMachine[], address: ResourceAddress): string | null {
  const { type, name } = parseAddress(address);
  // The load balancer's targets are a file on its machine.
  if (type === "haplan_lb_backend") return whyUnreachable(unreachable, loadBalancerName);
  return typesOnMachines.has(type) ? whyUnreachable(unreachable, name) : null;
}

/**
 * The same for the member that runs there: the spec's changes are not applied to it yet, and do not make the state
 * outdated.
 */
export function isKnownFromStateOnly(unreachable: readonly UnreachableMachine[], address: ResourceAddress): boolean {
  const member = "haplan_raft_member.";
  if (address.startsWith(member)) return whyUnreachable(unreachable, address.slice(member.length)) !== null;
  return unchangedReason(unreachable, address) !== null;
}

const typesOnMachines: ReadonlySet<string> = new Set([
  "haplan_machine",
  "haplan_agent",
  "haplan_load_balancer",
  "haplan_worker",
  "haplan_kubeadm_config",
  "haplan_kubernetes_node",
]);
