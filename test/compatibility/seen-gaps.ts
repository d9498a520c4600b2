/** The gaps that the writers of the Go client's scenario `steadyWrites` have reported, each writer its own. */

export type SeenGap = {
  /** By the wall clock, as in `Date.now()`: when the writer's last write was acknowledged, and when the next. */
  readonly fromMs: number;
  readonly untilMs: number;
  readonly writer: string;
};

export class SeenGaps {
  readonly #gaps: SeenGap[] = [];

  /** Takes an event of the scenario; ignores all but gaps. */
  readonly add = (event: string): void => {
    const [kind, writer = "", from, until] = event.split(" ");
    if (kind === "gap") this.#gaps.push({ writer, fromMs: Number(from), untilMs: Number(until) });
  };

  /** The longest gap, in whole or in part between two moments; null when none is long enough to report. */
  longest(fromMs: number, untilMs: number): SeenGap | null {
    const seen = this.#gaps.filter((gap) => gap.untilMs > fromMs && gap.fromMs < untilMs);
    return seen.sort((a, b) => lengthOf(b) - lengthOf(a))[0] ?? null;
  }

  longestMs(fromMs: number, untilMs: number): number {
    const longest = this.longest(fromMs, untilMs);
    return longest === null ? 0 : lengthOf(longest);
  }
}

function lengthOf({ fromMs, untilMs }: SeenGap): number {
  return untilMs - fromMs;
}
