/**
 * One line of the journal: intent before each action, outcome after it. Kept beside the state; appended and fsynced
 * before apply continues. An intent without an outcome is left by a killed apply.
 */
import type { Json } from "../base/json.ts";
import type { StepAction } from "./step.ts";

export type JournalRecord = {
  /** Counts from 1 within a journal. */
  readonly sequence: number;
  readonly planId: string;
  readonly stepId: string;
  readonly phase: "intent" | "done" | "failed";
  /** Wall time, ISO 8601. */
  readonly at: string;
  /** With `intent`. */
  readonly action?: StepAction;
  /** With `done`: outputs of the step, such as a member id. Never secrets. */
  readonly result?: { readonly [name: string]: Json };
  /** With `failed`. */
  readonly error?: string;
};
