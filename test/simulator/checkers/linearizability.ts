/**
 * Decides whether one order of all operations on a key, each taking effect between its begin and its end, explains
 * every response. The search of Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), with Lowe's
 * memoization, "Testing for Linearizability" (2017). Keys are independent registers, so each is decided separately.
 */
import { createRandom } from "../../../src/base/random.ts";
import type { Operation } from "../history.ts";

export type Verdict = "linearizable" | "notLinearizable" | "undecided";

/** An event in order of time, linked so that an operation can be removed and put back. */
type Node = {
  readonly operation: number;
  readonly isBegin: boolean;
  previous: Node | null;
  next: Node | null;
  match: Node | null;
};

const stepsMax = 400_000;

export function decideLinearizability(history: readonly Operation[]): Verdict {
  return new Search(withoutUnseenWrites(history)).run();
}

export function byKey(operations: readonly Operation[]): Map<string, Operation[]> {
  const keys = new Map<string, Operation[]>();
  for (const operation of operations) {
    const list = keys.get(operation.key);
    if (list === undefined) keys.set(operation.key, [operation]);
    else list.push(operation);
  }
  return keys;
}

/**
 * Removes writes with an unknown outcome whose value was never seen: had one taken effect, every operation up to the
 * next write would have shown its value, since a failed compare returns what it found. Values are unique.
 */
function withoutUnseenWrites(history: readonly Operation[]): Operation[] {
  const seen = new Set<string | null>();
  for (const { kind, expected, found, succeeded, end } of history) {
    if (end === Number.POSITIVE_INFINITY) {
      if (kind === "cas") seen.add(expected);
    } else seen.add(kind === "cas" && succeeded ? expected : found);
  }
  return history.filter(({ end, value }) => end !== Number.POSITIVE_INFINITY || seen.has(value));
}

class Search {
  readonly #operations: readonly Operation[];
  readonly #head: Node = { operation: -1, isBegin: true, previous: null, next: null, match: null };
  readonly #codes: readonly number[];
  readonly #deadEnds = new Set<string>();
  #open = 0;

  constructor(operations: readonly Operation[]) {
    this.#operations = operations;
    const random = createRandom(0x11ea);
    this.#codes = operations.map(() => random.below(2 ** 26) * 2 ** 26 + random.below(2 ** 26));
    this.#link();
  }

  /** Steps forward by taking the earliest operations that fit, and backtracks at an end whose operation did not. */
  run(): Verdict {
    const taken: { readonly node: Node; readonly stateBefore: string | null }[] = [];
    let state: string | null = null;
    let code: [high: number, low: number] = [0, 0];
    let node = this.#head.next;
    for (let steps = 0; this.#open > 0; steps++) {
      if (steps > stepsMax) return "undecided";
      if (node?.isBegin === true) {
        const after = effect(this.#operations[node.operation]!, state);
        const codeAfter = flipped(code, this.#codes[node.operation]!);
        if (after !== undefined && this.#isNew(codeAfter, after)) {
          taken.push({ node, stateBefore: state });
          [state, code] = [after, codeAfter];
          this.#takeOut(node);
          node = this.#head.next;
        } else node = node.next;
        continue;
      }
      const last = taken.pop();
      if (last === undefined) return "notLinearizable";
      state = last.stateBefore;
      code = flipped(code, this.#codes[last.node.operation]!);
      this.#putBack(last.node);
      node = last.node.next;
    }
    return "linearizable";
  }

  #isNew([high, low]: [number, number], state: string | null): boolean {
    const key = `${high},${low},${state}`;
    if (this.#deadEnds.has(key)) return false;
    this.#deadEnds.add(key);
    return true;
  }

  #link(): void {
    const events = this.#operations.flatMap(({ begin, end }, operation) => [
      { at: begin, operation, isBegin: true },
      ...(end === Number.POSITIVE_INFINITY ? [] : [{ at: end, operation, isBegin: false }]),
    ]);
    events.sort((left, right) => left.at - right.at);
    const begins = new Map<number, Node>();
    let last = this.#head;
    for (const { operation, isBegin } of events) {
      const node: Node = { operation, isBegin, previous: last, next: null, match: null };
      last.next = node;
      last = node;
      if (isBegin) begins.set(operation, node);
      else {
        begins.get(operation)!.match = node;
        this.#open++;
      }
    }
  }

  #takeOut(begin: Node): void {
    unlink(begin);
    if (begin.match === null) return;
    unlink(begin.match);
    this.#open--;
  }

  #putBack(begin: Node): void {
    if (begin.match !== null) {
      relink(begin.match);
      this.#open++;
    }
    relink(begin);
  }
}

/** The register's value after the operation, or undefined when its response does not match the value before. */
function effect(
  { kind, value, expected, found, succeeded, end }: Operation,
  state: string | null,
): string | null | undefined {
  if (kind === "put") return value;
  if (kind === "get") return found === state ? state : undefined;
  if (end === Number.POSITIVE_INFINITY) return state === expected ? value : undefined;
  if (succeeded) return state === expected ? value : undefined;
  return found === state && state !== expected ? state : undefined;
}

function flipped([high, low]: [number, number], code: number): [number, number] {
  return [high ^ Math.floor(code / 2 ** 26), low ^ (code % 2 ** 26)];
}

function unlink(node: Node): void {
  node.previous!.next = node.next;
  if (node.next !== null) node.next.previous = node.previous;
}

function relink(node: Node): void {
  node.previous!.next = node;
  if (node.next !== null) node.next.previous = node;
}
