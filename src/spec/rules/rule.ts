/** A rule looks at a draft and says all that it finds wrong; it judges only what has the right type. */
import type { SpecDraft } from "../draft.ts";
import type { SpecFinding } from "../finding.ts";

export type SpecRule = (draft: SpecDraft) => readonly SpecFinding[];
