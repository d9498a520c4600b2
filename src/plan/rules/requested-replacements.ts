/**
 * Replacements that the user requests (`-replace`): a machine or a member is replaced, a process is restarted with its
 * data, a certificate is issued again. A request without effect is refused: a plan that silently dropped it would look
 * as if it had been applied.
 */

import { nearestName } from "../../spec/nearest-name.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { PlannerInput } from "../planner-input.ts";
import type { Planning } from "../planning.ts";
import type { Step } from "../step.ts";

const candidatesMax = 12;

export function isRequested({ replace = [] }: PlannerInput, address: string): boolean {
  return replace.includes(address);
}

/** Before anything is planned: requests that no plan could fulfill. */
export function checkRequests(planning: Planning): void {
  const { desired, builder, replace = [], mode, refreshOnly = false } = planning;
  if (replace.length === 0) return;
  if (mode === "destroy" || refreshOnly) {
    const [flag, what] = mode === "destroy" ? ["-destroy", "removes everything"] : ["-refresh-only", "changes nothing"];
    builder.refuse(
      "plan/replace-excluded",
      `-replace and ${flag} cannot be combined`,
      `A plan with ${flag} ${what}. Omit one of them.`,
    );
    return;
  }
  const known = desired.map(({ address }): string => address);
  for (const address of replace) {
    if (!known.includes(address)) refuseUnknown(address, known.filter(isReplaceable), builder);
    else if (!isReplaceable(address)) refuseKind(address, known, builder);
  }
}

/**
 * Until the first start is complete, an existing master is not replaced: its data may be part of the quorum, which is
 * not confirmed yet.
 */
export function refuseFounders(planning: Planning): void {
  const { view, builder } = planning;
  for (const address of planning.replace ?? []) {
    const [type = "", name = ""] = address.split(/\.(.*)/s);
    if (!ofMaster.has(type) || !view.initialMembers.includes(name) || !view.machines.has(name)) continue;
    builder.refuse(
      "plan/not-replaced",
      `${address} cannot be replaced while the cluster's first start is incomplete`,
      "Apply without -replace first.",
      address,
    );
  }
}

/** After planning: a request that none of the steps fulfills. */
export function checkFulfilled(planning: Planning, steps: readonly Step[]): void {
  const { builder, replace = [], target = [] } = planning;
  const touched = new Set(steps.flatMap(({ addresses }) => addresses).map(replacedThing));
  for (const address of replace) {
    if (touched.has(replacedThing(address))) continue;
    const detail =
      target.length > 0
        ? `It is not among the targets: ${target.join(", ")}. Add -target=${address}, or plan without -target.`
        : "Other changes come first. Apply without -replace, and then with it.";
    builder.refuse("plan/not-replaced", `${address} would not be replaced by this plan`, detail, address);
  }
}

/** A master is one thing under three addresses; completed replacements are in no step any more. */
export function replacedThing(address: string): string {
  const [type, name] = address.split(/\.(.*)/s);
  return ofMaster.has(type ?? "") ? `master ${name}` : address;
}

const ofMaster: ReadonlySet<string> = new Set(["haplan_machine", "haplan_agent", "haplan_raft_member"]);

function isReplaceable(address: string): boolean {
  return !address.startsWith("haplan_ca.") && !address.startsWith("haplan_lb_backend.");
}

function refuseUnknown(address: string, candidates: readonly string[], builder: PlanBuilder): void {
  const [type = "", name = ""] = address.split(/\.(.*)/s);
  const near = nearestName(address, candidates);
  const alike = candidates.filter((each) => each.startsWith(`${type}.`) || each.endsWith(`.${name}`));
  const shown = (alike.length === 0 ? candidates : alike).slice(0, candidatesMax);
  const more = (alike.length === 0 ? candidates : alike).length - shown.length;
  const hint = near === null ? "" : `Did you mean "${near}"? `;
  builder.refuse(
    "plan/unknown-replace",
    `The spec has no resource "${address}" to replace`,
    `${hint}These can be replaced:\n${shown.map((each) => `  ${each}`).join("\n")}${more === 0 ? "" : `\n  ... and ${more} more`}`,
  );
}

function refuseKind(address: string, known: readonly string[], builder: PlanBuilder): void {
  const detail = address.startsWith("haplan_ca.")
    ? "Its certificate is renewed before it expires. `haplan certs rotate -ca` replaces it by an authority with another key, in steps; to replace a certificate that it has signed, use the address of that certificate."
    : `It is a line in the load balancer's configuration. To restart the load balancer, write -replace=${known.find((each) => each.startsWith("haplan_load_balancer."))}.`;
  builder.refuse("plan/not-replaceable", `${address} cannot be replaced`, detail, address);
}
