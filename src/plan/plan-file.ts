/**
 * A saved plan as text: one JSON document with a version and a checksum over the plan. It contains the planner's input
 * and output, which have no secrets; `staleness.ts` decides whether it may still be applied.
 */
import { canonicalDigest } from "../base/canonical-json.ts";
import type { Diagnostic } from "../base/diagnostic.ts";
import { compareVersion, type FileFormat, upgradeContent } from "../base/file-format.ts";
import { errorText } from "../base/haplan-error.ts";
import { parseJson } from "../base/json-text.ts";
import type { Plan } from "./plan.ts";

const kind = "haplan.plan";
/** A new version needs an upgrade from the one before, and an example in test/formats/examples. */
export const planFileFormat: FileFormat = { current: 1, upgrades: {} };

/** The spec's file when the plan was made: its path as it was given, and the SHA-256 of its bytes in hexadecimal. */
export type PlanSource = { readonly path: string; readonly digest: string };

export function encodePlanFile(plan: Plan, source: PlanSource | null = null): string {
  const file = { kind, version: planFileFormat.current, checksum: canonicalDigest(plan), source, plan };
  return `${JSON.stringify(file, null, 1)}\n`;
}

export type DecodedPlanFile =
  | { readonly plan: Plan; readonly source: PlanSource | null; readonly problem?: never }
  | { readonly plan?: never; readonly source?: never; readonly problem: Diagnostic };

/** True for text that claims to be a plan file, so that `apply` can distinguish a plan from a spec. */
export function looksLikePlanFile(text: string): boolean {
  return /^\s*\{\s*"kind"\s*:\s*"haplan\.plan"/.test(text);
}

function notAPlan(): Diagnostic {
  return problem(
    "plan-file/unreadable",
    "This is not a plan file",
    "Plan files are created by haplan plan -out FILE. To apply a spec, pass the YAML file; to show its state, run haplan show -spec FILE.",
  );
}

export function decodePlanFile(text: string, format: FileFormat = planFileFormat): DecodedPlanFile {
  let file: unknown;
  if (!looksLikePlanFile(text)) return { problem: notAPlan() };
  try {
    file = parseJson(text);
  } catch (error) {
    return {
      problem: problem(
        "plan-file/unreadable",
        "This is not a plan file",
        `It cannot be read: ${errorText(error)}. Make a new plan with haplan plan -out FILE.`,
      ),
    };
  }
  if (!isRecord(file) || file["kind"] !== kind) {
    return { problem: notAPlan() };
  }
  const version = file["version"];
  if (compareVersion(format, version) !== "readable") {
    return {
      problem: problem(
        "plan-file/version",
        `This plan file has version ${String(version)}`,
        `This haplan reads version ${format.current}. Make the plan with the haplan that applies it.`,
      ),
    };
  }
  const plan = file["plan"];
  if (!isRecord(plan) || file["checksum"] !== canonicalDigest(plan) || plan["id"] !== planId(plan)) {
    return {
      problem: problem(
        "plan-file/damaged",
        "The plan file is damaged",
        "Its checksum does not match its content. Make a new plan; plans must not be edited.",
      ),
    };
  }
  const upgraded = upgradeContent(format, version as number, file);
  return { plan: upgraded["plan"] as Plan, source: sourceOf(upgraded["source"]) };
}

function sourceOf(value: unknown): PlanSource | null {
  if (!isRecord(value)) return null;
  const { path, digest } = value;
  return typeof path === "string" && typeof digest === "string" ? { path, digest } : null;
}

function planId(plan: Readonly<Record<string, unknown>>): string {
  const { id: _, ...rest } = plan;
  return canonicalDigest(rest);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function problem(code: string, summary: string, detail: string): Diagnostic {
  return { severity: "error", code, summary, detail };
}
