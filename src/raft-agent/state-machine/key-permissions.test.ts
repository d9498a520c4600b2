import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Permission, Permission_Type, PermissionSchema } from "../api/gen/authpb/auth_pb.ts";
import { compareBytes } from "../mvcc/key-range.ts";
import { grantedIntervals, holdsRange } from "./key-permissions.ts";

const text = (value: string): Uint8Array => Buffer.from(value);
const permission = (key: string, rangeEnd = "", permType: Permission_Type = Permission_Type.READ): Permission =>
  create(PermissionSchema, { key: text(key), rangeEnd: text(rangeEnd), permType });

type Row = readonly [
  title: string,
  granted: readonly (readonly [string, string?])[],
  asked: [string, string?],
  boolean,
];

const rows: readonly Row[] = [
  ["one key for itself", [["a"]], ["a"], true],
  ["one key, not a longer one", [["a"]], ["a\0"], false],
  ["one key as a range", [["a"]], ["a", "a\0"], true],
  ["a range without its end", [["a", "c"]], ["c"], false],
  ["a whole range", [["a", "c"]], ["a", "c"], true],
  [
    "ranges that touch, together",
    [
      ["c", "d"],
      ["a", "b"],
      ["b", "c"],
    ],
    ["a", "d"],
    true,
  ],
  [
    "ranges that overlap, together",
    [
      ["a", "c"],
      ["b", "e"],
      ["c", "d"],
    ],
    ["a", "e"],
    true,
  ],
  [
    "ranges with a gap apart",
    [
      ["a", "b"],
      ["c", "d"],
    ],
    ["a", "d"],
    false,
  ],
  ["a range to the end, to the end", [["b", "\0"]], ["c", "\0"], true],
  ["a range to the end, for what is before it", [["b", "\0"]], ["a"], false],
  ["a closed range, to the end", [["a", "z"]], ["b", "\0"], false],
  ["everything", [["\0", "\0"]], ["\0", "\0"], true],
  ["nothing by a range without a start", [["", "\0"]], ["a"], false],
  ["a range that ends before it starts", [["b", "a"]], ["b"], false],
  ["nothing", [], ["a"], false],
];

describe("permissions on keys", () => {
  it.each(rows)("hold %s", (_title, granted, [key, rangeEnd = ""], held) => {
    const intervals = grantedIntervals(
      granted.map(([start, end]) => permission(start, end)),
      "read",
    );
    expect(holdsRange(intervals, text(key), text(rangeEnd))).toBe(held);
  });

  it("keep reading and writing apart", () => {
    const permissions = [
      permission("r", "", Permission_Type.READ),
      permission("w", "", Permission_Type.WRITE),
      permission("b", "", Permission_Type.READWRITE),
    ];
    const held = (access: "read" | "write"): string[] =>
      ["r", "w", "b"].filter((key) => holdsRange(grantedIntervals(permissions, access), text(key), text("")));
    expect([held("read"), held("write")]).toEqual([
      ["r", "b"],
      ["w", "b"],
    ]);
  });

  it("hold a range exactly when every key in it is granted", () => {
    const letter = fc.constantFrom("a", "b", "c", "d", "e", "f");
    const interval = fc.tuple(letter, fc.oneof(letter, fc.constantFrom("", "\0")));
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 5 }), interval, (granted, [key, rangeEnd]) => {
        const intervals = grantedIntervals(
          granted.map(([start, end]) => permission(start, end)),
          "read",
        );
        // Between any two letters is a key that is not named.
        const keys = ["a", "a5", "b", "b5", "c", "c5", "d", "d5", "e", "e5", "f", "f5", "zz"];
        const asked = keys.filter((one) => isIn(one, key, rangeEnd));
        fc.pre(asked.length > 0 && rangeEnd !== "");
        const all = asked.every((one) => granted.some(([start, end]) => isIn(one, start, end)));
        expect(holdsRange(intervals, text(key), text(rangeEnd))).toBe(all);
      }),
    );
  });
});

function isIn(key: string, start: string, end: string): boolean {
  if (end === "") return key === start;
  return compareBytes(text(key), text(start)) >= 0 && (end === "\0" || compareBytes(text(key), text(end)) < 0);
}
