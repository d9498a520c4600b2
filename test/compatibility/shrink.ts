/**
 * Makes what fails smaller by leaving out parts of it, halves first and single ones last, for as long as it still fails.
 * Each try may take seconds, so that few are made: fast-check's own shrinking takes hundreds.
 */

export type ShrinkOptions<Item> = {
  /** How many of the first items it takes to fail; null when they do not fail. */
  readonly failsAt: (items: readonly Item[]) => Promise<number | null>;
  readonly untilMs: number;
};

export async function shrink<Item>(items: readonly Item[], options: ShrinkOptions<Item>): Promise<readonly Item[]> {
  const { failsAt, untilMs } = options;
  let smallest = items;
  for (let size = Math.ceil(items.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < smallest.length && Date.now() < untilMs; ) {
      const shorter = smallest.toSpliced(from, size);
      const count = shorter.length === 0 ? null : await failsAt(shorter);
      if (count === null) from += size;
      else smallest = shorter.slice(0, count);
    }
  }
  return smallest;
}
