/** Which kills there are: one at each call of a run that is not killed. */
import { changesSomething, type Kill } from "./killing-proxy.ts";

/** Each call that changes something, in its order; calls of one name are told apart by their number. */
export function killsOf(calls: readonly string[], when: Kill["when"]): readonly Kill[] {
  const seen = new Map<string, number>();
  return calls.filter(changesSomething).map((call) => {
    const number = (seen.get(call) ?? 0) + 1;
    seen.set(call, number);
    return { call, number, when };
  });
}
