/** Carries out a repair as `haplan apply` would: under the lock of the state and of the hosts, with its own plan and the journal. */
import type { CliContext } from "../cli-context.ts";
import { executePlan } from "../execute-plan.ts";
import { locked } from "../locked-run.ts";
import { makePlan } from "../make-plan.ts";
import { refuse } from "../refusal.ts";
import { type Session, sessionFor } from "../session.ts";
import type { Repair } from "./decide-repair.ts";
import { repairObjection } from "./repair-objection.ts";

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
    const { spec, specPath, specDigest } = watched;
    const session = await sessionFor(own, { spec, specPath, specDigest });
    await locked(own, session, lockFlags, "apply", async (lock) => {
      const plan = await makePlan(own, session, { mode: "apply", target: repair.targets });
      const objection = repairObjection(plan, repair.kind);
      if (objection !== null)
        throw refuse(
          "watch/not-a-repair",
          `haplan watch does not repair ${repair.address}: ${objection}`,
          "Run haplan plan.",
        );
      begin(plan.id);
      return executePlan(own, session, plan, { lock, json: context.reporter.json });
    });
  } finally {
    for (const close of opened.toReversed()) await close().catch(() => undefined);
  }
}
