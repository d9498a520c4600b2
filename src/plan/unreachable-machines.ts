/**
 * Machines that could not be looked at. Nothing is known of them, which is not the same as their being gone: they are planned
 * as the state remembers them, no voter is replaced for one of them unless that is asked for, and no step of the plan is
 * taken on one.
 */
import { assertNever } from "../base/assert.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";
import { type UnreachableMachine, whyUnreachable } from "./observed-cluster.ts";
import type { PlannerInput } from "./planner-input.ts";
import { rememberedMachines } from "./remembered-observation.ts";
import { parseAddress, type ResourceAddress } from "./resource.ts";
import type { StepAction } from "./step.ts";

/**
 * The same input with each unreachable machine as the state has it. One that `-replace` names counts as gone: whoever asks
 * for that knows what has become of it.
 */
export function rememberUnreachable(input: PlannerInput): PlannerInput {
  const { observed, state, replace = [] } = input;
  if (observed.unreachable === undefined) return input;
  const unreachable = observed.unreachable.filter(({ name }) =>
    ["haplan_machine", "haplan_raft_member"].every((type) => !replace.includes(`${type}.${name}`)),
  );
  const remembered = rememberedMachines(state).filter(({ name }) => whyUnreachable(unreachable, name) !== null);
  return { ...input, observed: { ...observed, machines: [...observed.machines, ...remembered], unreachable } };
}

/** The machine on which the step acts; null when it acts on none. */
export function machineActedOn(action: StepAction): string | null {
  switch (action.kind) {
    case "createMachine":
    case "updateMachine":
    case "destroyMachine":
      return action.machine;
    case "startAgent":
    case "updateAgent":
    case "reloadAgent":
    case "restartAgent":
    case "stopAgent":
      return action.member;
    case "startLoadBalancer":
    case "updateLoadBalancer":
    case "stopLoadBalancer":
      return loadBalancerName;
    case "startWorker":
    case "stopWorker":
      return action.worker;
    case "renameMaster":
      return action.to;
    // The members are asked over their own ports, and certificates are on haplan's own machine.
    case "createAuthority":
    case "renewAuthority":
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

/** Whether a resource is on one of these machines: nothing about it changes while the machine is unreachable. */
export function whyLeftAlone(unreachable: readonly UnreachableMachine[], address: ResourceAddress): string | null {
  const { type, name } = parseAddress(address);
  // The load balancer's targets are a file on its machine.
  if (type === "haplan_lb_backend") return whyUnreachable(unreachable, loadBalancerName);
  return typesOnMachines.has(type) ? whyUnreachable(unreachable, name) : null;
}

/** The same of the member that runs there: what the spec says of it is not so yet, and no news for the state. */
export function isRememberedOnly(unreachable: readonly UnreachableMachine[], address: ResourceAddress): boolean {
  const member = "haplan_raft_member.";
  if (address.startsWith(member)) return whyUnreachable(unreachable, address.slice(member.length)) !== null;
  return whyLeftAlone(unreachable, address) !== null;
}

const typesOnMachines: ReadonlySet<string> = new Set([
  "haplan_machine",
  "haplan_agent",
  "haplan_load_balancer",
  "haplan_worker",
]);
