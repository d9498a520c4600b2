/** The longest that a timer of Node's can be set to, 24.8 days: one that is set to more ends at once. */
export const longestTimerMs: number = 2 ** 31 - 1;
