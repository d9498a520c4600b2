import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { isMasked } from "./masked-unit.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-masked-"));
afterAll(() => rmSync(directory, { recursive: true }));

it("a unit is masked where a link to /dev/null is in place of its file", () => {
  const [masked, linked, plain] = ["masked", "linked", "plain"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  symlinkSync("/dev/null", masked);
  writeFileSync(plain, "[Unit]\n");
  symlinkSync(plain, linked);
  expect([masked, linked, plain, join(directory, "missing")].map(isMasked)).toEqual([true, false, false, false]);
});
