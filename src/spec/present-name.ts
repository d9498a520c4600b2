/** Renamed masters. */
import type { MovedMaster } from "./cluster-spec.ts";

/** The name after following every entry of `moved`; `name` itself in a cycle. */
export function presentName(name: string, moved: readonly MovedMaster[]): string {
  let at = name;
  for (let hops = 0; hops <= moved.length; hops += 1) {
    const next = moved.find(({ from }) => from === at)?.to;
    if (next === undefined) return at;
    at = next;
  }
  return name;
}
