/** grpc-timeout: at most eight digits and a unit (gRPC over HTTP/2, "Requests"). */
const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Milliseconds, possibly a fraction; undefined for text that is not a timeout. */
export function parseTimeout(text: string): number | undefined {
  const unit = unitMs[text.at(-1) ?? ""];
  const digits = text.slice(0, -1);
  if (unit === undefined || !/^\d{1,8}$/.test(digits)) return undefined;
  return Number(digits) * unit;
}

/** The finest unit that holds the time in eight digits. */
export function formatTimeout(ms: number): string {
  const atLeastOne = Math.max(1, Math.ceil(ms));
  if (atLeastOne < 1e8) return `${atLeastOne}m`;
  return `${Math.min(99_999_999, Math.ceil(ms / 1_000))}S`;
}
