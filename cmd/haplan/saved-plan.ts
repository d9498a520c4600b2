/** Saved plans: told from specs, read and written. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { writeFileDurably } from "../../src/base/durable-file.ts";
import { errorText } from "../../src/base/haplan-error.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { decodePlanFile, encodePlanFile, looksLikePlanFile } from "../../src/plan/plan-file.ts";
import { readSource } from "../../src/spec/read-source.ts";
import { Sealer, sealedContent, unseal } from "../../src/state/sealed-text.ts";
import type { CliContext } from "./cli-context.ts";
import { readText } from "./read-text.ts";
import { RefusalError, refuse } from "./refusal.ts";

/** Whether `path` names a saved plan. False for what cannot be read: the reader of specs says why. */
export function isPlanFile(context: CliContext, path: string): boolean {
  try {
    const file = openSync(resolve(context.cwd, path), "r");
    try {
      if (!fstatSync(file).isFile()) return false;
      const start = Buffer.alloc(256);
      const text = start.toString("utf8", 0, readSync(file, start, 0, start.length, 0));
      return looksLikePlanFile(text) || sealedContent(text) === "plan";
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}

export type SavedPlan = {
  readonly plan: Plan;
  /** The spec's file, as it was given when the plan was made; null when it is not there, as where only the plan was handed on. */
  readonly specPath: string | null;
  /** That file is another than when the plan was made. */
  readonly specEdited: boolean;
};

/** Saves a plan, private to the user, and sealed when the spec asks for it. @throws RefusalError */
export function writePlanFile(context: CliContext, path: string, plan: Plan, specPath: string | null): void {
  const { encryption } = plan.spec.state;
  const source = specPath === null ? null : readSource(resolve(context.cwd, specPath));
  const text = encodePlanFile(plan, specPath !== null && source?.ok ? { path: specPath, digest: source.digest } : null);
  const sealed =
    encryption === null ? text : new Sealer(encryption.passphraseEnv, context.environment).seal("plan", text);
  try {
    writeFileDurably(resolve(context.cwd, path), sealed);
  } catch (error) {
    throw refuse(
      "cli/cannot-save-plan",
      `Cannot save the plan to ${path}`,
      `${errorText(error)}\nNothing is left of it there. Make room, or save it elsewhere.`,
    );
  }
}

/** @throws RefusalError when it is no plan, or a damaged one */
export async function readPlanFile(context: CliContext, path: string): Promise<SavedPlan> {
  const text = await readText(context, path).catch((error: unknown) => {
    throw refuse("cli/cannot-read-plan", `Cannot read the plan ${path}`, errorText(error));
  });
  const opened = sealedContent(text) === "plan" ? unseal(text, `the plan ${path}`, context.environment) : text;
  const { plan, source, problem } = decodePlanFile(opened);
  if (problem !== undefined) throw new RefusalError([{ ...problem, address: path }]);
  const now = source === null ? null : readSource(resolve(context.cwd, source.path));
  const specPath = source !== null && now?.ok ? source.path : null;
  return { plan, specPath, specEdited: now?.ok === true && now.digest !== source?.digest };
}
