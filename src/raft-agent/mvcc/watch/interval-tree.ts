/**
 * Key ranges, searchable by the keys they contain: a treap ordered by range start in which each node stores the
 * greatest end below it (Cormen et al., "Introduction to Algorithms", §14.3; Seidel and Aragon, "Randomized search
 * trees", 1996).
 */
import type { Random } from "../../../base/random.ts";
import { compareBytes } from "../key-range.ts";

/** `end` is exclusive; null = no end. */
export type KeyInterval = { readonly start: Uint8Array; readonly end: Uint8Array | null };

type Node<Interval extends KeyInterval> = {
  readonly interval: Interval;
  readonly order: number;
  readonly priority: number;
  left: Node<Interval> | null;
  right: Node<Interval> | null;
  maxEnd: Uint8Array | null;
};

export class IntervalTree<Interval extends KeyInterval> {
  #root: Node<Interval> | null = null;
  /** Distinguishes intervals with equal starts. */
  readonly #orders = new Map<Interval, number>();
  #nextOrder = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  add(interval: Interval): void {
    const order = this.#nextOrder++;
    this.#orders.set(interval, order);
    const priority = this.#random.next();
    const node: Node<Interval> = { interval, order, priority, left: null, right: null, maxEnd: interval.end };
    const [left, right] = split(this.#root, interval.start, order);
    this.#root = merge(merge(left, node), right);
  }

  remove(interval: Interval): void {
    const order = this.#orders.get(interval);
    if (order === undefined) return;
    this.#orders.delete(interval);
    const [left, rest] = split(this.#root, interval.start, order);
    const [, right] = split(rest, interval.start, order + 1);
    this.#root = merge(left, right);
  }

  /** Visits every interval that contains `key`. */
  forEachHolding(key: Uint8Array, visit: (interval: Interval) => void): void {
    visitHolding(this.#root, key, visit);
  }
}

function visitHolding<Interval extends KeyInterval>(
  node: Node<Interval> | null,
  key: Uint8Array,
  visit: (interval: Interval) => void,
): void {
  if (node === null || (node.maxEnd !== null && compareBytes(node.maxEnd, key) <= 0)) return;
  visitHolding(node.left, key, visit);
  if (compareBytes(node.interval.start, key) > 0) return;
  const { end } = node.interval;
  if (end === null || compareBytes(key, end) < 0) visit(node.interval);
  visitHolding(node.right, key, visit);
}

/** Splits into what precedes (`start`, `order`) and the rest. */
function split<Interval extends KeyInterval>(
  node: Node<Interval> | null,
  start: Uint8Array,
  order: number,
): [Node<Interval> | null, Node<Interval> | null] {
  if (node === null) return [null, null];
  const difference = compareBytes(node.interval.start, start) || node.order - order;
  if (difference < 0) {
    const [left, right] = split(node.right, start, order);
    node.right = left;
    return [updated(node), right];
  }
  const [left, right] = split(node.left, start, order);
  node.left = right;
  return [left, updated(node)];
}

function merge<Interval extends KeyInterval>(
  left: Node<Interval> | null,
  right: Node<Interval> | null,
): Node<Interval> | null {
  if (left === null || right === null) return left ?? right;
  if (left.priority > right.priority) {
    left.right = merge(left.right, right);
    return updated(left);
  }
  right.left = merge(left, right.left);
  return updated(right);
}

function updated<Interval extends KeyInterval>(node: Node<Interval>): Node<Interval> {
  let max = node.interval.end;
  for (const child of [node.left, node.right]) {
    if (max === null) break;
    if (child !== null && (child.maxEnd === null || compareBytes(child.maxEnd, max) > 0)) max = child.maxEnd;
  }
  node.maxEnd = max;
  return node;
}
