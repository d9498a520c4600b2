/** The longest delay of a Node.js timer, 24.8 days; a longer one fires at once. */
export const longestTimerMs: number = 2 ** 31 - 1;
