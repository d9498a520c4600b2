// Numbers and times as text.

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  if (count < 1024 * 1024) return `${Math.ceil(count / 1024)} kB`;
  if (count < 1024 ** 3) return `${(count / 1024 ** 2).toFixed(1)} MB`;
  return `${(count / 1024 ** 3).toFixed(1)} GB`;
}

export function orDash(value) {
  return value === null || value === undefined || value === "" ? "–" : String(value);
}

export function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** In the largest unit that gives at least one. */
export function age(seconds) {
  if (seconds >= 86_400) return plural(Math.floor(seconds / 86_400), "day");
  if (seconds >= 3_600) return plural(Math.floor(seconds / 3_600), "hour");
  if (seconds >= 60) return plural(Math.floor(seconds / 60), "minute");
  return plural(Math.max(0, Math.round(seconds)), "second");
}

export function clockTime(iso) {
  return new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** The day is shown for what did not happen today. */
export function dayAndTime(iso) {
  const then = new Date(iso);
  if (then.toDateString() === new Date().toDateString()) return clockTime(iso);
  return `${then.toLocaleDateString([], { month: "short", day: "numeric" })} ${clockTime(iso)}`;
}
