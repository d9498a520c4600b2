/**
 * The keys that a user may read or write: intervals merged until they neither overlap nor touch, so that a range
 * covered by two roles together is found in one of them (etcd server/auth/range_perm_cache.go uses interval trees).
 */
import type { Permission } from "../api/gen/authpb/auth_pb.ts";
import { compareBytes, isEmptyRange, isOpenEnd } from "../mvcc/key-range.ts";

/** `end` is exclusive; null = no end. */
type KeyInterval = { readonly start: Uint8Array; readonly end: Uint8Array | null };

/** Sorted, disjoint. */
export type KeyIntervals = readonly KeyInterval[];

/** authpb.Permission.Type. */
export const PermissionType = { read: 0, write: 1, readWrite: 2 } as const;

/** The keys that the permissions of all of a user's roles grant for `access`. */
export function grantedIntervals(permissions: readonly Permission[], access: "read" | "write"): KeyIntervals {
  const wanted: readonly number[] = [PermissionType[access], PermissionType.readWrite];
  const intervals = permissions
    .filter(({ permType }) => wanted.includes(permType))
    .filter(({ key, rangeEnd }) => isGrantable(key, rangeEnd))
    .map(({ key, rangeEnd }) => toInterval(key, rangeEnd));
  return mergeIntervals(intervals);
}

/** Other ranges that etcd before 3.5 accepts (no start key, an end before the start) grant nothing there either. */
export function isGrantable(key: Uint8Array, rangeEnd: Uint8Array): boolean {
  return key.length > 0 && (rangeEnd.length === 0 || !isEmptyRange(key, rangeEnd));
}

/** `rangeEnd` as in a RangeRequest. True when one interval contains all of it. */
export function holdsRange(intervals: KeyIntervals, key: Uint8Array, rangeEnd: Uint8Array): boolean {
  const found = lastStartingAt(intervals, key);
  if (found === undefined) return false;
  if (found.end === null) return true;
  if (compareBytes(key, found.end) >= 0) return false;
  if (rangeEnd.length === 0) return true;
  return !isOpenEnd(rangeEnd) && compareBytes(rangeEnd, found.end) <= 0;
}

function toInterval(key: Uint8Array, rangeEnd: Uint8Array): KeyInterval {
  if (rangeEnd.length === 0) return { start: key, end: Buffer.concat([key, Uint8Array.of(0)]) };
  return { start: key, end: isOpenEnd(rangeEnd) ? null : rangeEnd };
}

function mergeIntervals(intervals: readonly KeyInterval[]): KeyIntervals {
  const merged: KeyInterval[] = [];
  for (const next of [...intervals].sort((a, b) => compareBytes(a.start, b.start))) {
    const last = merged.at(-1);
    if (last === undefined || (last.end !== null && compareBytes(next.start, last.end) > 0)) merged.push(next);
    else merged[merged.length - 1] = { start: last.start, end: laterEnd(last.end, next.end) };
  }
  return merged;
}

function laterEnd(a: Uint8Array | null, b: Uint8Array | null): Uint8Array | null {
  if (a === null || b === null) return null;
  return compareBytes(a, b) >= 0 ? a : b;
}

/** The last interval that starts at or before `key`. */
function lastStartingAt(intervals: KeyIntervals, key: Uint8Array): KeyInterval | undefined {
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(intervals[middle]!.start, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return intervals[low - 1];
}
