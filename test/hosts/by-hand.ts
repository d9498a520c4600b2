/** What CI leaves out for its time, and `npm run test:hosts -- --all` runs. */
import { it, type TestContext } from "vitest";

export const runsByHand: boolean = process.env["HAPLAN_TEST_ALL_HOSTS"] !== undefined;

/** A test that is not there in CI, where none is to be skipped. */
export function itByHand(
  name: string,
  options: { readonly timeout: number },
  test: (context: TestContext) => Promise<void>,
): void {
  if (runsByHand) it(name, options, test);
}
