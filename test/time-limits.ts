/**
 * Limits of time in long tests are those that are promised on a machine of one's own. A machine of CI is shared with others:
 * there they are four times as long, so that a run fails for what is wrong and not for what is slow.
 */
const slack = process.env["CI"] === "true" ? 4 : 1;

export function limitMs(ms: number): number {
  return ms * slack;
}
