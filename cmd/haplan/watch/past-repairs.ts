/** What was repaired before, read from the lines of the audit log. Pure. */

/** The outcome names the plan that it is of: not every failure is that of a repair that was begun. */
export type PastRepair = {
  readonly address: string;
  readonly atMs: number;
  readonly kind: string | null;
  /** The name of the spare host; null if none took a master's place. */
  readonly spare: string | null;
  /** Null if it did not end: the watcher was killed, or is at it. */
  readonly outcome: "repaired" | "failed" | null;
  /** Why it failed, in one line; null if it did not, or if that is not known. */
  readonly failure: string | null;
};

/** A line that a crash has torn is none. */
export function pastRepairs(lines: readonly string[]): readonly PastRepair[] {
  const repairs: (PastRepair & { readonly planId: string | null })[] = [];
  for (const line of lines) {
    const { event, address, time, repair, spare, plan_id: planId, message } = parse(line);
    const atMs = Date.parse(String(time));
    if (typeof address !== "string" || Number.isNaN(atMs)) continue;
    if (event === "repair") {
      repairs.push({
        address,
        atMs,
        kind: textOf(repair),
        spare: textOf(spare),
        outcome: null,
        failure: null,
        planId: textOf(planId),
      });
    } else if (event === "repaired" || event === "failed") {
      const at = repairs.findLastIndex((each) => each.address === address && each.planId === planId);
      const begun = repairs[at];
      const failure = event === "failed" ? failureIn(textOf(message), address) : null;
      if (begun !== undefined) repairs[at] = { ...begun, outcome: event, failure };
    }
  }
  return repairs;
}

/** The first line of a message, without what it is about. */
function failureIn(message: string | null, address: string): string | null {
  return message?.replace(`${address} is not repaired: `, "").split("\n")[0] ?? null;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function parse(line: string): { readonly [key: string]: unknown } {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as { readonly [key: string]: unknown }) : {};
  } catch {
    return {};
  }
}
