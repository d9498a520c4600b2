/** Durations of flags: `30s`, `2m`, `500ms`, `0`. */
import { refuse } from "./refusal.ts";

const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds; undefined if the flag was not given. @throws RefusalError */
export function parseOptionalDuration(flag: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(flag, text);
}

/** Milliseconds. @throws RefusalError */
export function parseDuration(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (text === "0") return 0;
  if (match === null) {
    throw refuse(
      "cli/bad-duration",
      `${flag} ${text} is not a duration`,
      "Write a number with a unit of ms, s, m or h, such as 30s.",
    );
  }
  return Number(match[1]) * (factors[match[2] ?? ""] ?? 0);
}
