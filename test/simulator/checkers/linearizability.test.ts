import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Operation } from "../history.ts";
import { decideLinearizability } from "./linearizability.ts";

const unknown = Number.POSITIVE_INFINITY;

function operation(begin: number, end: number, parts: Partial<Operation>): Operation {
  const blank = { client: 1, key: "k", value: null, expected: null, found: null, succeeded: false, revision: 0 };
  return { ...blank, kind: "get", begin, end, ...parts };
}
const put = (begin: number, end: number, value: string): Operation => operation(begin, end, { kind: "put", value });
const get = (begin: number, end: number, found: string | null): Operation => operation(begin, end, { found });
const cas = (begin: number, end: number, expected: string | null, value: string): Operation =>
  operation(begin, end, { kind: "cas", expected, value, succeeded: true });
const failedCas = (begin: number, end: number, expected: string | null, found: string | null): Operation =>
  operation(begin, end, { kind: "cas", expected, value: "new", found });

describe("decideLinearizability", () => {
  it.each<[string, "linearizable" | "notLinearizable", Operation[]]>([
    ["a read of an earlier write", "linearizable", [put(0, 1, "a"), get(2, 3, "a")]],
    ["a read that misses an earlier write", "notLinearizable", [put(0, 1, "a"), get(2, 3, null)]],
    [
      "a read concurrent with a write, of either value",
      "linearizable",
      [put(0, 3, "a"), get(1, 2, null), get(4, 5, "a")],
    ],
    [
      "a read older than an earlier read",
      "notLinearizable",
      [put(0, 1, "a"), put(2, 9, "b"), get(3, 4, "b"), get(5, 6, "a")],
    ],
    [
      "a write with an unknown outcome, seen late",
      "linearizable",
      [put(0, unknown, "a"), get(1, 2, null), get(3, 4, "a")],
    ],
    [
      "a write with an unknown outcome, seen and lost",
      "notLinearizable",
      [put(0, unknown, "a"), get(1, 2, "a"), get(3, 4, null)],
    ],
    ["a read of a value never written", "notLinearizable", [put(0, 1, "a"), get(2, 3, "b")]],
    ["two compares that succeed on one value", "notLinearizable", [cas(0, 3, null, "a"), cas(1, 2, null, "b")]],
    ["compares one after the other", "linearizable", [cas(0, 3, null, "a"), cas(1, 4, "a", "b"), get(5, 6, "b")]],
    ["a compare that failed on the expected value", "notLinearizable", [put(0, 1, "a"), failedCas(2, 3, "a", "a")]],
    [
      "a compare that failed on the value of an unknown write",
      "linearizable",
      [put(0, unknown, "a"), failedCas(1, 2, null, "a")],
    ],
  ])("classifies %s as %s", (_, verdict, history) => {
    expect(decideLinearizability(history)).toBe(verdict);
  });

  it("agrees with a brute-force search of small histories", () => {
    const values = fc.constantFrom("a", "b", "c");
    const some = fc.record({
      kind: fc.constantFrom("put" as const, "get" as const, "cas" as const),
      times: fc.tuple(fc.nat(12), fc.integer({ min: 1, max: 8 })),
      isKnown: fc.integer({ min: 0, max: 3 }).map((lot) => lot > 0),
      succeeded: fc.boolean(),
      found: fc.option(values),
      expected: fc.option(values),
    });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 6 }), (drawn) => {
        // Written values are unique, as in a run.
        const history = drawn.map(({ kind, times: [at, length], isKnown, ...parts }, number): Operation => {
          const begin = at + number / 100;
          const value = kind === "get" ? null : ("abc"[number] ?? `v${number}`);
          return operation(begin, isKnown || kind === "get" ? begin + length : unknown, { ...parts, kind, value });
        });
        expect(decideLinearizability(history)).toBe(tryEveryOrder(history, null) ? "linearizable" : "notLinearizable");
      }),
      { numRuns: 3_000 },
    );
  });
});

/** The definition itself: some operation that no other one preceded comes first, and the rest follows. */
function tryEveryOrder(rest: readonly Operation[], state: string | null): boolean {
  if (rest.every(({ end }) => end === unknown)) return true;
  return rest.some((first) => {
    if (rest.some((other) => other !== first && other.end < first.begin)) return false;
    const after = apply(first, state);
    return (
      after !== undefined &&
      tryEveryOrder(
        rest.filter((other) => other !== first),
        after,
      )
    );
  });
}

function apply(
  { kind, value, expected, found, succeeded, end }: Operation,
  state: string | null,
): string | null | undefined {
  if (kind === "put") return value;
  if (kind === "get") return found === state ? state : undefined;
  if (end === unknown) return state === expected ? value : state;
  if (succeeded) return state === expected ? value : undefined;
  return state === found && found !== expected ? state : undefined;
}
