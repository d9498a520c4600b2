/** Warnings about unreachable machines, and refusals where a plan needs them. */

import type { Diagnostic } from "../../base/diagnostic.ts";
import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import { memberCondition } from "../cluster-view.ts";
import { loadBalancerAddress } from "../desired-resources.ts";
import type { UnreachableMachine } from "../observed-cluster.ts";
import type { Plan } from "../plan.ts";
import type { PlannerInput } from "../planner-input.ts";
import type { Planning } from "../planning.ts";
import { isDeposed, masterTypes, type ResourceAddress, type ResourceType, resourceAddress } from "../resource.ts";
import { machineActedOn } from "../unreachable-machines.ts";

const programsMissingCode = "plan/programs-missing";
const unreachableCode = "plan/unreachable";

/** Whether apply has programs to install on a host before it can plan for what is there. */
export function installsPrograms({ mode, warnings }: Pick<Plan, "mode" | "warnings">): boolean {
  return mode === "apply" && warnings.some(({ code }) => code === programsMissingCode);
}

/** The machines that the plan changes nothing on, because they were unreachable when it was made. */
export function unreachableWarnings({ warnings }: Pick<Plan, "warnings">): readonly Diagnostic[] {
  return warnings.filter(({ code }) => code === unreachableCode);
}

/** The names of those machines. */
export function unreachableMachines(plan: Pick<Plan, "warnings">): ReadonlySet<string> {
  const names = unreachableWarnings(plan).flatMap(({ address }) =>
    address?.startsWith("haplan_machine.") ? [address.slice("haplan_machine.".length)] : [],
  );
  return new Set(names);
}

/** Whether nothing of the spec was compared with a machine, since none of its machines was reached. */
export function isNothingCompared(plan: Pick<Plan, "warnings" | "spec">): boolean {
  const { controlPlane, workers, loadBalancer } = plan.spec;
  const masters = controlPlane.masters.filter(({ adoptedAt }) => adoptedAt === undefined);
  const machines = [...masters, ...workers, ...(loadBalancer.hosts ?? [])];
  const silent = unreachableMachines(plan);
  return machines.length > 0 && machines.every(({ name }) => silent.has(name));
}

/**
 * What a saved plan leaves as it is: the machines that were unreachable when it was made, and those that are by now. Of a
 * machine that a step acts on, the step tells.
 */
export function unreachableByNow(
  plan: Pick<Plan, "steps" | "warnings">,
  { state, observed }: Pick<PlannerInput, "state" | "observed">,
): readonly Diagnostic[] {
  const planned = unreachableWarnings(plan);
  const since = (observed.unreachable ?? []).flatMap((found) => {
    const { name, programsMissing } = found;
    const machine = resourceAddress("haplan_machine", name);
    const isKnown = (address: ResourceAddress): boolean =>
      state?.resources.some((resource) => resource.address === address) === true;
    const address = name === loadBalancerName && !isKnown(machine) ? loadBalancerAddress : machine;
    // One that was replaced has a warning of its own.
    if (isDeposed(address) || programsMissing || !isKnown(address)) return [];
    const isTold = planned.some((warning) => warning.address === address);
    const isActedOn = plan.steps.some(({ action }) => machineActedOn(action) === name);
    return isTold || isActedOn ? [] : [unchangedWarning(address, found)];
  });
  return [...planned, ...since];
}

/** Where the state has a machine, and where the spec has it by now. */
type PendingMove = { readonly from: string; readonly to: string };

/** Null if both have it at the same address, or one of them does not tell. */
function pendingMove(
  { desired, view }: Pick<Planning, "desired" | "view">,
  address: ResourceAddress,
): PendingMove | null {
  const from = view.resources.get(address)?.attributes["address"];
  const to = desired.find((resource) => resource.address === address)?.attributes["address"];
  return typeof from === "string" && typeof to === "string" && from !== to ? { from, to } : null;
}

function unchangedWarning(
  address: ResourceAddress,
  { reason, refused, isNewHost, uncalled }: UnreachableMachine,
  move: PendingMove | null = null,
): Diagnostic {
  if (uncalled === true) {
    const detail = `${reason}. It is not down: this plan changes nothing on its machine, and starts nothing again.`;
    return unreachableWarning(address, `haplan cannot call the member on ${address}`, detail);
  }
  if (move !== null && isNewHost) {
    return unreachableWarning(
      address,
      `${address} is unreachable at ${move.to}, its address in the spec`,
      `${reason}. Check that address first. The state has it at ${move.from}, and it stays there: this plan changes nothing there.`,
    );
  }
  const whenGone =
    move === null
      ? `If it is gone for good, write another host for it into the spec, and plan with -replace=${address}.`
      : `If that host is gone for good, -replace=${address} moves it now.`;
  const pending =
    move === null
      ? ""
      : ` The spec has it at ${move.to}, and the state at ${move.from}: once the former host answers, a plan moves it.`;
  const condition = address === loadBalancerAddress ? "condition is unknown, and it" : "content is unknown and";
  return unreachableWarning(
    address,
    `${address} is unreachable`,
    `${reason}. Its ${condition} stays as it is: this plan changes nothing there. It is not replaced because of this.${pending}${refused === true ? "" : ` ${whenGone}`}`,
  );
}

function unreachableWarning(address: ResourceAddress, summary: string, detail: string): Diagnostic {
  return { severity: "warning", code: unreachableCode, summary, detail, address };
}

/** Members at work that haplan cannot call: without an answer of any other one, nothing is known of the cluster. */
function checkUncalled({ observed, view, builder }: Planning): void {
  const uncalled = view.unreachable.filter((machine) => machine.uncalled === true);
  // Starting a process that has ended is safe, whatever the others do.
  const isStopped = view.members.some((member) => memberCondition(view, member) === "stopped");
  if (observed.membership !== null || uncalled.length === 0 || isStopped) return;
  builder.refuse(
    "plan/members-not-called",
    `haplan cannot call ${uncalled.map(({ name }) => name).join(", ")}, and no other member answers`,
    `${uncalled.map(({ name, reason }) => `${name}: ${reason}.`).join("\n")}\nA member that cannot be called is not down. Without an answer, nothing is known of the quorum, and nothing is changed.`,
  );
}

export function checkUnreachable(planning: Planning): void {
  checkUncalled(planning);
  const { mode, state, desired, view, builder } = planning;
  for (const found of view.unreachable) {
    const { name, reason, programsMissing } = found;
    const machine = resourceAddress("haplan_machine", name);
    const runsElsewhere = name === loadBalancerName && !desired.some((resource) => resource.address === machine);
    const address = runsElsewhere ? loadBalancerAddress : machine;
    const isKnown = state?.resources.some((resource) => resource.address === address) === true;
    const isWanted = desired.some((resource) => resource.address === address);
    if (mode === "destroy" && isKnown) {
      builder.refuse(
        unreachableCode,
        `${address} is unreachable, so its content cannot be removed`,
        `${reason}. Make it reachable, and destroy again. If it is lost for good, remove it from the state first; what is on it then stays there:`,
        address,
        [["state", "rm", ...resourcesOn(name, planning)]],
      );
    } else if (mode === "destroy") {
      const detail = `${reason}. If haplan has put anything there, it stays.`;
      builder.warnings.push(unreachableWarning(address, `${address} is unreachable, and not in the state`, detail));
    } else if (isDeposed(address) && isKnown) {
      builder.warn(
        "plan/left-behind",
        `${address} was replaced, and its host is still unreachable`,
        `${reason}. Once it answers, the plan removes what haplan has put there. If the host is lost for good, remove it from the state: haplan state rm ${address}`,
      );
    } else if (isWanted && (view.phase !== "formed" || !isKnown)) {
      builder.refuse(
        unreachableCode,
        `${address} is unreachable, and not in the state`,
        `${reason}. Make it reachable, or remove it from the spec.`,
        address,
      );
    } else if (isKnown && programsMissing) {
      builder.warn(
        programsMissingCode,
        `haplan's programs are missing on the host of ${address}`,
        `${reason}, and then plans what else is to be done there. Until then nothing is known of what runs there.`,
      );
    } else if (isKnown) {
      builder.warnings.push(unchangedWarning(address, found, pendingMove(planning, address)));
    }
  }
}

const onMachines: ReadonlySet<ResourceType> = new Set([
  ...masterTypes,
  "haplan_load_balancer",
  "haplan_worker",
  "haplan_kubeadm_config",
  "haplan_kubernetes_node",
]);

/** The resources of the state that are on this machine. */
function resourcesOn(name: string, { state }: Planning): readonly ResourceAddress[] {
  const own = (state?.resources ?? []).filter((each) => each.name === name && onMachines.has(each.type));
  return own.map(({ address }) => address);
}

/** A master that has to be changed, or replaced, on a machine that is unreachable. */
export function refuseUnreachableMaster(
  name: string,
  why: string,
  planning: Pick<Planning, "desired" | "view" | "builder">,
): void {
  const address = resourceAddress("haplan_machine", name);
  const { at, detail } = wayOut(planning, name, address);
  planning.builder.refuse(
    unreachableCode,
    `${address} is unreachable${at}, but master ${name} has to be changed: ${why}`,
    detail,
    address,
  );
}

/** Where it was not reached, and what to do. */
function wayOut(
  planning: Pick<Planning, "desired" | "view">,
  name: string,
  address: ResourceAddress,
): { readonly at: string; readonly detail: string } {
  const found = planning.view.unreachable.filter((machine) => machine.name === name);
  const present = found.find(({ isNewHost }) => !isNewHost);
  const next = found.find(({ isNewHost }) => isNewHost);
  const move = pendingMove(planning, address);
  const lost = `plan again. If it is lost, plan with -replace=${address}.`;
  if (move === null) {
    const reasons = found.map(({ reason }) => `${reason}. `).join("");
    return { at: "", detail: `${reasons}Make it reachable and ${lost}` };
  }
  const { from, to } = move;
  if (next === undefined) {
    const places = `The state has it at ${from}, and the spec at ${to}.`;
    return { at: ` at ${from}`, detail: `${present?.reason}. ${places} Make ${from} reachable and ${lost}` };
  }
  const other =
    present === undefined
      ? `The state has it at ${from}, which answers.`
      : `The state has it at ${from}, which was not reached either: ${present.reason}. If that host is lost, plan with -replace=${address} once ${to} answers.`;
  return { at: ` at ${to}`, detail: `${next.reason}. Check that address in the spec first. ${other}` };
}
