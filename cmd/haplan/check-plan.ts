/** Checks the hosts of a plan that makes or changes machines, restores a backup or gives a virtual address, before it is approved or saved. */
import { addressTakers } from "../../src/apply/address-takers.ts";
import { preflightPlan } from "../../src/apply/preflight.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { checkingHosts } from "./checking-hosts.ts";
import type { CliContext } from "./cli-context.ts";
import { locateInSpec } from "./locate-in-spec.ts";
import { RefusalError } from "./refusal.ts";
import { type Session, sessionState } from "./session.ts";

/**
 * Shows warnings. Does nothing for any other plan: apply checks what such a plan needs.
 * @returns true if the plan was checked
 * @throws RefusalError with all errors that are found
 */
export async function checkPlan(context: CliContext, session: Session, plan: Plan): Promise<boolean> {
  const isChecked =
    plan.restore !== undefined ||
    addressTakers(plan).length > 0 ||
    plan.steps.some(({ action }) => action.kind === "createMachine" || action.kind === "updateMachine");
  if (plan.mode === "destroy" || !isChecked) return false;
  const lineage = (await sessionState(context, session))?.lineage ?? plan.binding.stateLineage ?? "to-be-made";
  const { provider, authority, dependencies } = session;
  const ports = { provider, authority, connect: dependencies.connect };
  const found = await checkingHosts(context, async (signal) =>
    locateInSpec(context, session, await preflightPlan(plan, lineage, ports, signal)),
  );
  context.reporter.warn(found.filter(({ severity }) => severity === "warning"));
  const errors = found.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new RefusalError(errors);
  return true;
}
