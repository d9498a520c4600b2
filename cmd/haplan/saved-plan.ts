/** Saved plans: detects, reads and writes them. */
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

/** Reports whether `path` is a saved plan. False for an unreadable file: the spec reader reports the reason. */
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
  /**
   * Path of the spec's file as it was given when the plan was made; null if it does not exist, as where only the plan
   * was passed on.
   */
  readonly specPath: string | null;
  /** That file has changed since the plan was made. */
  readonly specEdited: boolean;
};

/** Saves a plan with mode 0600, encrypted if the spec requires it. @throws RefusalError */
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
      `${errorText(error)}\nNo partial file was left. Free some space, or save the plan elsewhere.`,
    );
  }
}

/** @throws RefusalError if it is not a plan, or is damaged */
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
