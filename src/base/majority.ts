/** The least number of members that is more than half of `size` (Raft §5.2). */
export function majorityOf(size: number): number {
  return Math.floor(size / 2) + 1;
}
