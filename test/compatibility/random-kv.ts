/**
 * Random requests of the KV service, as fast-check generates and shrinks them: few keys, so that they collide, and
 * every option in every combination. What crashes a real etcd 3.4 is left out (docs/etcd-differences.md).
 */
import fc from "fast-check";
import type { Body } from "./conversation.ts";
import { b64 } from "./script-words.ts";

export type RandomCall = { readonly method: string; readonly body: Body };

/** The revisions and operations that bodies may contain where they are used. */
export type KvOptions = {
  /** A revision, as JSON has it. */
  readonly revision: fc.Arbitrary<string>;
  /** Stands for a value that would be too long to print. */
  readonly bigValue: fc.Arbitrary<string>;
  /** How deep transactions are nested, 1 being not at all. */
  readonly txnDepth: number;
  /** Whether a transaction may read old revisions: members of an etcd 3.4 diverge on one that also writes. */
  readonly revisionsInTxn: boolean;
};

/** Mostly left out, and shrinks to that. */
export function seldom<T>(arbitrary: fc.Arbitrary<T>, weight = 1): fc.Arbitrary<T | undefined> {
  return fc.oneof({ withCrossShrink: true }, { weight: 5, arbitrary: fc.constant(undefined) }, { weight, arbitrary });
}

const flag = (weight = 1): fc.Arbitrary<true | undefined> => seldom(fc.constant(true), weight);

/** Draws one of several, by weight. The first is what it shrinks to. */
export function mixed<T>(...choices: (readonly [weight: number, arbitrary: fc.Arbitrary<T>])[]): fc.Arbitrary<T> {
  return fc.oneof({ withCrossShrink: true }, ...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

export const keys = ["a", "ab", "b", "c", "d"] as const;
const key = mixed(
  [100, fc.constantFrom(...keys).map(b64)],
  [2, fc.constantFrom("\xff", "\xff\xff", "\0").map(b64)],
  [1, fc.constant("")],
);
const value = fc.constantFrom("", b64("v"), b64("w"), b64("x"));
export const leaseId: fc.Arbitrary<string> = mixed(
  [8, fc.constantFrom("11", "12", "13")],
  [1, fc.constantFrom("404", "0", "-7")],
);

/** A key alone, a prefix, everything after a key, and ranges that hold nothing. */
type KeyRange = { readonly key: string; readonly range_end?: string };
const closedRange: fc.Arbitrary<KeyRange> = mixed<KeyRange>(
  [4, fc.record({ key })],
  [2, fc.constantFrom(...keys).map((one) => ({ key: b64(one), range_end: b64(nextPrefix(one)) }))],
  [1, fc.constantFrom(...keys).map((one) => ({ key: b64(one), range_end: b64(one) }))],
  [2, fc.record({ key, range_end: fc.constantFrom("a", "b", "cc", "\xff").map(b64) })],
);
export const keyRange: fc.Arbitrary<KeyRange> = mixed<KeyRange>(
  [9, closedRange],
  [1, fc.record({ key, range_end: fc.constant(b64("\0")) })],
  [1, fc.constant({ key: b64("\0"), range_end: b64("\0") })],
);

function nextPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** `key` and the other fields. */
function both(first: fc.Arbitrary<object>, second: fc.Arbitrary<object>): fc.Arbitrary<Body> {
  return fc.tuple(first, second).map(([one, other]): Body => ({ ...one, ...other }));
}

type PutOptions = { readonly bigValue: fc.Arbitrary<string>; readonly ignoring: fc.Arbitrary<true | undefined> };

/** A put that keeps the value usually has none. */
function put({ bigValue, ignoring }: PutOptions): fc.Arbitrary<Body> {
  const given = mixed([10, value], [1, bigValue]);
  const content = ignoring.chain((ignore_value) =>
    fc.record({
      ignore_value: fc.constant(ignore_value),
      value: ignore_value ? mixed([9, fc.constant("")], [1, given]) : given,
    }),
  );
  const rest = fc.record({ key, lease: seldom(leaseId, 2), prev_kv: flag(2), ignore_lease: ignoring });
  return both(rest, content);
}
const deleteOf = (range: typeof keyRange): fc.Arbitrary<Body> => both(range, fc.record({ prev_kv: flag(3) }));

function range(revision: fc.Arbitrary<string | undefined>, someRevision: fc.Arbitrary<string>): fc.Arbitrary<Body> {
  return both(
    keyRange,
    fc.record({
      revision,
      limit: seldom(fc.constantFrom("1", "2", "3", "-1"), 2),
      sort_order: seldom(fc.constantFrom("NONE", "ASCEND", "DESCEND"), 3),
      sort_target: seldom(fc.constantFrom("KEY", "VERSION", "CREATE", "MOD", "VALUE"), 3),
      serializable: flag(),
      keys_only: flag(),
      count_only: flag(),
      min_mod_revision: seldom(someRevision),
      max_mod_revision: seldom(someRevision),
      min_create_revision: seldom(someRevision),
      max_create_revision: seldom(someRevision),
    }),
  );
}

function compare(revision: fc.Arbitrary<string>): fc.Arbitrary<Body> {
  const version = fc.constantFrom("0", "1", "2", "3");
  const operand = fc.oneof(
    fc.record({ target: fc.constant("VERSION"), version }),
    fc.record({ target: fc.constant("CREATE"), create_revision: revision }),
    fc.record({ target: fc.constant("MOD"), mod_revision: revision }),
    fc.record({ target: fc.constant("VALUE"), value }),
    fc.record({ target: fc.constant("LEASE"), lease: leaseId }),
    // An operand that is missing, or of another target.
    fc.record({ target: fc.constantFrom("VERSION", "CREATE", "MOD", "VALUE", "LEASE", 9), version: seldom(version) }),
  );
  const result = mixed<string | number>(
    [12, fc.constantFrom("EQUAL", "GREATER", "LESS", "NOT_EQUAL")],
    [1, fc.constant(9)],
  );
  return both(both(keyRange, fc.record({ result })), operand);
}

/**
 * An etcd crashes on a put that would keep something of a key that was deleted before it by a range to the last key.
 */
function txn(options: KvOptions): fc.Arbitrary<Body> {
  return mixed(
    [3, txnOf({ ...options, ignoring: flag(), deleted: closedRange })],
    [1, txnOf({ ...options, ignoring: fc.constant(undefined), deleted: keyRange })],
  );
}

function txnOf(options: KvOptions & PutOptions & { readonly deleted: fc.Arbitrary<KeyRange> }): fc.Arbitrary<Body> {
  const { txnDepth } = options;
  const revision = options.revisionsInTxn ? seldom(options.revision) : fc.constant(undefined);
  const leaf = mixed<Body>(
    [3, put(options).map((request_put) => ({ request_put }))],
    [3, range(revision, options.revision).map((request_range) => ({ request_range }))],
    [2, deleteOf(options.deleted).map((request_delete_range) => ({ request_delete_range }))],
  );
  const op =
    txnDepth === 1
      ? leaf
      : mixed<Body>(
          [4, leaf],
          [1, txnOf({ ...options, txnDepth: txnDepth - 1 }).map((request_txn) => ({ request_txn }))],
        );
  const ops = mixed<Body[]>(
    [100, fc.array(op, { maxLength: 5 })],
    [1, fc.constant([{}])],
    [1, leaf.chain((one) => fc.constantFrom(128, 129).map((length) => Array.from({ length }, () => one)))],
  );
  return fc.record({
    compare: mixed(
      [100, fc.array(compare(options.revision), { maxLength: 3 })],
      [1, compare(options.revision).map((one) => Array.from({ length: 129 }, () => one))],
    ),
    success: ops,
    failure: ops,
  });
}

const call = (method: string, body: fc.Arbitrary<Body>): fc.Arbitrary<RandomCall> =>
  body.map((one) => ({ method, body: one }));

export function kvCall(options: KvOptions): fc.Arbitrary<RandomCall> {
  return mixed(
    [10, call("KV/Put", put({ ...options, ignoring: flag() }))],
    [6, call("KV/Range", range(seldom(options.revision, 3), options.revision))],
    [4, call("KV/DeleteRange", deleteOf(keyRange))],
    [8, call("KV/Txn", txn(options))],
    [1, call("KV/Compact", fc.record({ revision: options.revision, physical: flag(5) }))],
  );
}

/** A conversation of `count` requests that begins with an empty store, the same for the same seed. */
export function randomKvCalls(seed: number, count: number): RandomCall[] {
  const revision = fc.integer({ min: -1, max: 60 }).map(String);
  const bigValue = fc.constant(b64("x".repeat(1_000)));
  return fc.sample(kvCall({ revision, bigValue, txnDepth: 3, revisionsInTxn: false }), { seed, numRuns: count });
}
