/** The flag `-since`: a duration before now, or a time. */
import { parseDuration } from "./duration.ts";
import { refuse } from "./refusal.ts";

export function sinceOf(text: string, nowMs: number): number {
  if (!/^\d{4}-/.test(text)) return nowMs - parseDuration("-since", text);
  const timeMs = Date.parse(text);
  if (!Number.isNaN(timeMs)) return timeMs;
  throw refuse(
    "cli/bad-time",
    `-since ${text} is not a time`,
    "Write a duration such as 10m, or a time such as 2026-11-29T12:00:00Z.",
  );
}
