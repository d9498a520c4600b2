/** Tells saved plans from specs, and reads them. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { errorText } from "../../src/base/haplan-error.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { decodePlanFile, looksLikePlanFile } from "../../src/plan/plan-file.ts";
import { type CliContext, RefusalError, refuse } from "./cli-context.ts";

/** Whether `path` names a saved plan. False for what cannot be read: the reader of specs says why. */
export function isPlanFile(context: CliContext, path: string): boolean {
  try {
    const file = openSync(resolve(context.cwd, path), "r");
    try {
      if (!fstatSync(file).isFile()) return false;
      const start = Buffer.alloc(256);
      return looksLikePlanFile(start.toString("utf8", 0, readSync(file, start, 0, start.length, 0)));
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}

/** @throws RefusalError when it is no plan, or a damaged one */
export function readPlanFile(context: CliContext, path: string): Plan {
  let text: string;
  try {
    text = readFileSync(resolve(context.cwd, path), "utf8");
  } catch (error) {
    throw refuse("cli/cannot-read-plan", `Cannot read the plan ${path}`, errorText(error));
  }
  const { plan, problem } = decodePlanFile(text);
  if (problem !== undefined) throw new RefusalError([{ ...problem, address: path }]);
  return plan;
}
