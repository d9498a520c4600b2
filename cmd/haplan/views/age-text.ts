/** Numbers of things and ages, as text. */

export function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? "" : "s"}`;
}

/** `5 minutes`, in the largest unit that gives at least one. */
export function ageText(ageMs: number): string {
  const seconds = Math.max(0, Math.round(ageMs / 1000));
  const units: readonly (readonly [seconds: number, noun: string])[] = [
    [86_400, "day"],
    [3_600, "hour"],
    [60, "minute"],
  ];
  const unit = units.find(([length]) => seconds >= length);
  return unit === undefined ? count(seconds, "second") : count(Math.floor(seconds / unit[0]), unit[1]);
}
