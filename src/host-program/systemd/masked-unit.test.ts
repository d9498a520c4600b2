import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { assertNotMasked, removeUnitFile } from "./masked-unit.ts";

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
  for (const file of [linked, plain, join(directory, "missing")]) expect(() => assertNotMasked(file)).not.toThrow();
  expect(() => assertNotMasked(masked)).toThrow(
    /Cannot write and start masked: it is masked on its host\. Run there: systemctl unmask masked/,
  );
});

it("what is in place of a unit's file goes with the unit: the file, a mask, a link that leads nowhere; the target stays", () => {
  const units = mkdtempSync(join(directory, "units-"));
  const at = (name: string): string => join(units, name);
  symlinkSync("/dev/null", at("masked"));
  symlinkSync(at("gone"), at("dangling"));
  writeFileSync(at("plain"), "[Unit]\n");
  expect(["masked", "dangling", "plain", "missing"].map((name) => removeUnitFile(at(name)))).toEqual([
    true,
    true,
    true,
    false,
  ]);
  expect(readdirSync(units)).toEqual([]);
  expect(existsSync("/dev/null")).toBe(true);
});
