/** Time spans as systemd prints them, such as `1min 30s`: systemd.time(7). */

const unitsMs: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** In milliseconds; null for one that is not set, has no end, or is longer than weeks. */
export function parseTimeSpan(text: string): number | null {
  const parts = text.split(" ").map((part) => /^([0-9.]+)([a-z]+)$/.exec(part));
  let totalMs = 0;
  for (const part of parts) {
    const unitMs = unitsMs[part?.[2] ?? ""];
    if (part === null || unitMs === undefined) return null;
    totalMs += Number(part[1]) * unitMs;
  }
  return totalMs === 0 ? null : totalMs;
}
