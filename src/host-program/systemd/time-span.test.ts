import { expect, it } from "vitest";
import { parseTimeSpan } from "./time-span.ts";

it.each<[string, number | null]>([
  ["1min", 60_000],
  ["1min 30s", 90_000],
  ["2h 5min 1.5s", 7_501_500],
  ["500ms", 500],
  ["0", null],
  ["infinity", null],
  ["", null],
])("the time span %j is %j ms", (text, expected) => {
  expect(parseTimeSpan(text)).toBe(expected);
});
