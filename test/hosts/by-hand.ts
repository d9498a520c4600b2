/** What CI leaves out for its time, or runs at every third commit only (scripts/host-tests.mjs). `npm run test:hosts -- --all` runs it. */
import { it, type TestContext } from "vitest";

export const runsByHand: boolean = process.env["HAPLAN_TEST_ALL_HOSTS"] !== undefined;

/** A test that is not there otherwise: in CI none is to be skipped. */
export function itByHand(
  name: string,
  options: { readonly timeout: number },
  test: (context: TestContext) => Promise<void>,
): void {
  if (runsByHand) it(name, options, test);
}
