/** A rule checks a draft and reports all mistakes that it finds; it checks only values of the right type. */
import type { SpecDraft } from "../draft.ts";
import type { SpecFinding } from "../finding.ts";

export type SpecRule = (draft: SpecDraft) => readonly SpecFinding[];
