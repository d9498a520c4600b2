/** The plan of the page: computed when it is asked for, or read from a file. A refused plan is data as well. */
import type { Plan } from "../../../src/plan/plan.ts";
import { planHasChanges } from "../../../src/plan/planner.ts";
import type { CliContext } from "../cli-context.ts";
import { loadSpecAt } from "../commands/validate.ts";
import { makePlan } from "../make-plan.ts";
import { RefusalError } from "../refusal.ts";
import { type Session, sessionFor } from "../session.ts";
import { diagnosticsToJson } from "../views/diagnostics-view.ts";
import { planToJson } from "../views/plan-json.ts";

/** One plan at a time: a second request gets the plan that is being made. */
export class PagePlan {
  readonly #context: CliContext;
  readonly #session: () => Session;
  #making: Promise<object> | null = null;

  constructor(context: CliContext, session: () => Session) {
    this.#context = context;
    this.#session = session;
  }

  compute(): Promise<object> {
    this.#making ??= this.#make().finally(() => {
      this.#making = null;
    });
    return this.#making;
  }

  async #make(): Promise<object> {
    try {
      const plan = await makePlan(this.#context, await this.#presentSession(), { mode: "apply" });
      return planForPage(plan, new Date(this.#context.clock.now()).toISOString(), null);
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      const { invocation } = this.#context;
      return { refused: diagnosticsToJson(error.diagnostics.map((each) => invocation.spellOut(each))) };
    }
  }

  /** Of the spec as its file is now, which the next look would notice only later. */
  async #presentSession(): Promise<Session> {
    const session = this.#session();
    const { specPath, specDigest } = session;
    if (specPath === null) return session;
    const { spec, diagnostics, sourceDigest } = await loadSpecAt(this.#context, specPath);
    if (spec === null) throw new RefusalError(diagnostics);
    if (sourceDigest === specDigest) return session;
    return sessionFor(this.#context, { spec, specPath, specDigest: sourceDigest ?? "" });
  }
}

/** `path`: of the file that it was saved in. */
export function planForPage(plan: Plan, madeAt: string | null, path: string | null): object {
  return { made_at: madeAt, path, has_changes: planHasChanges(plan), plan: planToJson(plan) };
}
