/** Carries out a repair as `haplan apply` would: under the lock of the state and of the hosts, with its own plan and the journal. */
import type { PlannerInput } from "../../../src/plan/planner-input.ts";
import { parseAddress, type ResourceAddress, resourceAddress } from "../../../src/plan/resource.ts";
import { withStandIn } from "../../../src/plan/stand-ins.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import type { CliContext } from "../cli-context.ts";
import { executePlan } from "../execute-plan.ts";
import { locked } from "../locked-run.ts";
import { makePlan, type PlanOptions } from "../make-plan.ts";
import { type RefusalError, refuse } from "../refusal.ts";
import { type Session, sessionFor } from "../session.ts";
import type { Repair } from "./decide-repair.ts";
import { repairObjection } from "./repair-objection.ts";
import { isDead } from "./watched-masters.ts";

const lockFlags = { lock: "true", lockTimeout: "0" };

/** `begin` is called under the locks, before anything is changed, with the id of the plan. @throws RefusalError, HaplanError */
export async function carryOutRepair(
  context: CliContext,
  watched: Session,
  repair: Repair,
  begin: (planId: string) => void,
): Promise<void> {
  const opened: (() => Promise<void>)[] = [];
  // The locks on hosts are held as long as the session: it ends with the repair.
  const own: CliContext = { ...context, atEnd: (close) => void opened.push(close) };
  try {
    const { specPath, specDigest } = watched;
    const session = await sessionFor(own, { spec: repairedSpec(watched.spec, repair), specPath, specDigest });
    await locked(own, session, lockFlags, "apply", async (lock) => {
      const plan = await makePlan(own, session, planOptions(repair));
      const objection = repairObjection(plan, repair);
      if (objection !== null) throw notARepair(repair.address, objection);
      begin(plan.id);
      return executePlan(own, session, plan, { lock, json: context.reporter.json });
    });
  } finally {
    for (const close of opened.toReversed()) await close().catch(() => undefined);
  }
}

function repairedSpec(spec: ClusterSpec, { address, spare }: Repair): ClusterSpec {
  return spare === undefined ? spec : withStandIn(spec, { master: parseAddress(address).name, spare });
}

/** A master that takes part again is not replaced, whatever it was when that was decided. */
function planOptions({ address, targets, spare }: Repair): PlanOptions {
  const options = { mode: "apply", target: targets } as const;
  if (spare === undefined) return options;
  const { name } = parseAddress(address);
  const admit = ({ observed: { membership } }: PlannerInput): void => {
    if (!isDead(membership, name)) throw notARepair(address, `${name} answers again`);
  };
  return { ...options, admit, replace: [resourceAddress("haplan_machine", name)] };
}

function notARepair(address: ResourceAddress, why: string): RefusalError {
  return refuse("watch/not-a-repair", `haplan watch does not repair ${address}: ${why}`, "Run haplan plan.");
}
